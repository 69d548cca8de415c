#include "nsa_core/parity/prefill_check.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/guarded_kernels.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/prefill_truth.hpp"
#include "nsa_core/parity/step_case.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/routes/cuda_prefill_autograd.hpp"

namespace nsa::core::parity {
namespace {

// Memory that nobody wrote is NaN, and the largest number where it holds integers.
class PoisonedMemory {
  public:
    PoisonedMemory()
        : deterministic_{at::globalContext().deterministicAlgorithms()},
          warn_only_{at::globalContext().deterministicAlgorithmsWarnOnly()},
          fill_{at::globalContext().deterministicFillUninitializedMemory()} {
        at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
        at::globalContext().setDeterministicFillUninitializedMemory(true);
    }
    ~PoisonedMemory() {
        at::globalContext().setDeterministicFillUninitializedMemory(fill_);
        at::globalContext().setDeterministicAlgorithms(deterministic_, warn_only_);
    }
    PoisonedMemory(const PoisonedMemory&) = delete;
    PoisonedMemory& operator=(const PoisonedMemory&) = delete;

  private:
    bool deterministic_;
    bool warn_only_;
    bool fill_;
};

using Named = std::vector<std::pair<std::string, at::Tensor>>;

Named named(const KeysValues& cmp, const at::Tensor& out, const PrefillTensors& d) {
    return {{"k_cmp", cmp.k},    {"v_cmp", cmp.v},    {"out", out},        {"dq", d.q},
            {"dk_raw", d.raw.k}, {"dv_raw", d.raw.v}, {"dk_sel", d.sel.k}, {"dv_sel", d.sel.v},
            {"dk_win", d.win.k}, {"dv_win", d.win.v}, {"dgates", d.gates}};
}

PrefillOutputs on_cpu(PrefillOutputs o) {
    o.cmp = {.k = o.cmp.k.detach().cpu(), .v = o.cmp.v.detach().cpu()};
    o.out = o.out.detach().cpu();
    o.blocks = o.blocks.cpu();
    for_each_tensor(o.gradients, [](at::Tensor& x) { x = x.cpu(); });
    return o;
}

// The parts of tensors that belong to one sequence.
class Cut {
  public:
    Cut(const PrefillCase& c, const PrefillProblem& problem, std::int64_t sequence)
        : packed_{c.packed},
          sequence_{sequence},
          first_{problem.cu_tokens[sequence].item<std::int64_t>()},
          length_{c.lengths[static_cast<std::size_t>(sequence)]},
          first_compressed_{problem.cu_compressed[sequence].item<std::int64_t>()},
          compressed_{compressed_count(length_, c.config)} {}

    at::Tensor tokens(const at::Tensor& x) const {
        return packed_ ? x.narrow(2, first_, length_) : x.narrow(0, sequence_, 1);
    }
    KeysValues compressed(const KeysValues& x) const { return {.k = compressed(x.k), .v = compressed(x.v)}; }
    PrefillTensors tokens(PrefillTensors x) const {
        for_each_tensor(x, [this](at::Tensor& t) { t = tokens(t); });
        return x;
    }

  private:
    at::Tensor compressed(const at::Tensor& x) const {
        return packed_ ? x.narrow(2, first_compressed_, compressed_) : x.narrow(0, sequence_, 1);
    }

    bool packed_;
    std::int64_t sequence_;
    std::int64_t first_;
    std::int64_t length_;
    std::int64_t first_compressed_;
    std::int64_t compressed_;
};

KeysValues true_means(const KeysValues& raw, const NsaConfig& c) {
    return {.k = reference::compress_mean(raw.k, c.l, c.d), .v = reference::compress_mean(raw.v, c.l, c.d)};
}

// What is compared, by result: all sequences one behind the other, flat.
struct Values {
    std::string name;
    std::vector<at::Tensor> ours;
    std::vector<at::Tensor> plain;
    std::vector<at::Tensor> truth;
};

void collect(std::vector<Values>& all, const Named& ours, const Named& plain, const Named& truth) {
    for (std::size_t i = 0; i < ours.size(); ++i) {
        if (all.size() <= i) all.push_back({.name = ours[i].first, .ours = {}, .plain = {}, .truth = {}});
        all[i].ours.push_back(ours[i].second.flatten());
        all[i].plain.push_back(plain[i].second.flatten());
        all[i].truth.push_back(truth[i].second.flatten());
    }
}

// Where one key takes all, the gradients of queries and keys are differences of equal sums: 0 up to the
// rounding of fp32, however small they are themselves.
double cancelled(const PrefillCase& c, const std::string& name) {
    constexpr double kRounding = 0x1p-18;
    const Magnitude m = magnitude_of(c.data, c.dtype);
    return name.starts_with("dq") || name.starts_with("dk") ? kRounding * m.key * m.value : 0;
}

double ratio(const PrefillCase& c, const Values& values) {
    const at::Tensor ours = at::cat(values.ours);
    const at::Tensor truth = at::cat(values.truth);
    if (truth.numel() == 0) return 0;
    const double error = (ours.to(at::kDouble) - truth).abs().max().item<double>();  // NaN is not below
    return error <= cancelled(c, values.name) ? 0 : bound_ratio(ours, at::cat(values.plain), truth, c.dtype);
}

void judge_sequence(const PrefillCase& c, const PrefillProblem& problem, const PrefillOutputs& outputs,
                    std::int64_t sequence, std::vector<Values>& values, PrefillReport& report) {
    const Cut cut{c, problem, sequence};
    const SequenceInputs s{.in = cut.tokens(problem.in),
                           .d_out = cut.tokens(problem.d_out),
                           .cmp = cut.compressed(outputs.cmp),
                           .blocks = cut.tokens(outputs.blocks)};
    const SelectionCount selection = judge_blocks(s, c.config, c.data != StepData::kEqualKeys);
    report.selection_ties += selection.ties;
    report.selection_faults += selection.faults;
    const SequenceOutputs truth = true_prefill(s, c.config);
    const SequenceOutputs plain = plain_prefill(s, c.config);
    const KeysValues means = true_means(s.in.raw, c.config);
    const KeysValues rounded{.k = means.k.to(s.cmp.k.scalar_type()), .v = means.v.to(s.cmp.v.scalar_type())};
    collect(values, named(s.cmp, cut.tokens(outputs.out), cut.tokens(outputs.gradients)),
            named(rounded, plain.out, plain.gradients), named(means, truth.out, truth.gradients));
}

std::int64_t count_differences(const PrefillOutputs& a, const PrefillOutputs& b) {
    const Named first = named(a.cmp, a.out, a.gradients);
    const Named second = named(b.cmp, b.out, b.gradients);
    std::int64_t count = at::equal(a.blocks, b.blocks) ? 0 : 1;
    for (std::size_t i = 0; i < first.size(); ++i) {
        // NaN is no reason to differ from itself.
        const bool same = at::allclose(first[i].second, second[i].second, 0, 0, /*equal_nan=*/true);
        if (!same) ++count;
    }
    return count;
}

PrefillReport judge(const PrefillCase& c, const PrefillProblem& problem, const PrefillProblem& there,
                    const RunPrefill& run) {
    const PrefillOutputs outputs = on_cpu(run(there));
    const PrefillOutputs again = on_cpu(run(there));
    PrefillReport report;
    report.rerun_differences = count_differences(outputs, again);
    report.canary_hits = outputs.canary_hits + again.canary_hits;
    std::vector<Values> values;
    for (std::int64_t i = 0; i < std::ssize(c.lengths); ++i)
        judge_sequence(c, problem, outputs, i, values, report);
    for (const Values& result : values)
        report.bound_ratios.emplace_back(result.name, ratio(c, result));
    return report;
}

}  // namespace

PrefillOutputs run_prefill(const PrefillCase& c, const PrefillProblem& problem,
                           const PrefillKernels& kernels) {
    const c10::AutoGradMode on{true};
    PrefillTensors leaves = problem.in;
    for_each_tensor(leaves, [](at::Tensor& x) { x = x.detach().requires_grad_(true); });
    CudaCall call{.config = c.config, .scale = c.config.scale(), .packing = {}, .kernels = &kernels};
    if (c.packed) call.packing = Packing::of(problem.cu_tokens, c.longest(), c.tokens(), c.config);
    const KeysValues cmp = cuda_compress_mean(leaves.raw, call);
    const GatedAttention attended = cuda_gated_attention(
        {.q = leaves.q, .cmp = cmp, .sel = leaves.sel, .win = leaves.win, .gates = leaves.gates}, {}, call);
    attended.out.backward(problem.d_out);
    PrefillOutputs outputs{.cmp = cmp, .out = attended.out, .blocks = attended.blocks, .gradients = leaves};
    for_each_tensor(outputs.gradients, [](at::Tensor& x) { x = x.grad(); });
    return outputs;
}

RunPrefill prefill_candidate(const PrefillCase& c, const PrefillKernels& kernels) {
    return [c, &kernels](const PrefillProblem& problem) {
        const GuardedKernels guarded{kernels};
        PrefillOutputs outputs = run_prefill(c, problem, guarded);
        outputs.canary_hits = guarded.canary_hits();
        return outputs;
    };
}

RunPrefill raw_prefill_candidate(const PrefillCase& c, const PrefillKernels& kernels) {
    return [c, &kernels](const PrefillProblem& problem) {
        const c10::NoGradGuard no_grad;
        const PrefillTensors& in = problem.in;
        const GuardedKernels guarded{kernels};
        const CudaPrefill run{c.config, c.config.scale(), in.q, {}, guarded};
        const GatedRows rows{.q = in.q,
                             .cmp = run.compress(in.raw),
                             .sel = in.sel,
                             .win = in.win,
                             .gates = in.gates.transpose(1, 2).flatten(0, 1)};  // token-major already
        const GatedForward f = run.gated_forward(rows);
        const GatedRows d = run.gated_backward(rows, f, problem.d_out);
        return PrefillOutputs{
            .cmp = rows.cmp,
            .out = f.out,
            .blocks = run.to_blocks({.blocks = f.lists.blocks.cpu(), .count = f.lists.count.cpu()}),
            .gradients = {.q = d.q,
                          .raw = run.compress_backward(d.cmp),
                          .sel = d.sel,
                          .win = d.win,
                          .gates =
                              d.gates.view({in.q.size(0), in.q.size(2), in.q.size(1), 3}).transpose(1, 2)},
            .canary_hits = guarded.canary_hits()};
    };
}

bool PrefillReport::clean() const {
    return selection_faults == 0 && rerun_differences == 0 && canary_hits == 0 &&
           std::all_of(bound_ratios.begin(), bound_ratios.end(), [](const auto& r) { return r.second <= 1; });
}

std::string PrefillReport::text() const {
    std::ostringstream out;
    out << selection_ties << " ties, " << selection_faults << " selection faults, " << rerun_differences
        << " rerun differences, " << canary_hits << " canary bytes written; share of the bound:";
    for (const auto& [name, ratio] : bound_ratios)
        out << ' ' << name << ' ' << ratio;
    return out.str();
}

PrefillReport check_prefill(const PrefillCase& c, at::Device device, const RunPrefill& run) {
    const PrefillProblem problem{c};
    const PrefillProblem there = on_device(problem, device);
    const PoisonedMemory poisoned;
    return judge(c, problem, there, run);
}

PrefillReport check_raw_prefill(const PrefillCase& c, at::Device device, const RunPrefill& run) {
    const PrefillProblem problem{c};
    return judge(c, problem, copied_to(problem, device), run);
}

}  // namespace nsa::core::parity
