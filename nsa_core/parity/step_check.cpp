#include "nsa_core/parity/step_check.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <limits>

#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/step_selection.hpp"
#include "nsa_core/parity/step_truth.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core::parity {
namespace {

constexpr std::int64_t kGuardBytes = 8192;
constexpr std::uint8_t kCanary = 0xA5;

// A tensor with guard bytes on both sides, on the device under test.
class Guarded {
  public:
    // `initial` is a tensor on the CPU.
    Guarded(const at::Tensor& initial, at::Device device) : inside_{initial} {
        const at::Tensor bytes = initial.contiguous().view(-1).view(at::kByte);
        at::Tensor guarded = at::full({bytes.numel() + 2 * kGuardBytes}, kCanary, bytes.options());
        guarded.narrow(0, kGuardBytes, bytes.numel()).copy_(bytes);
        bytes_ = guarded.to(device);
    }
    // Where the candidate writes.
    [[nodiscard]] at::Tensor on_device() const { return inside(bytes_); }
    // What it has written.
    [[nodiscard]] at::Tensor on_cpu() const { return inside(bytes_.cpu()); }
    [[nodiscard]] std::int64_t hits() const {
        const at::Tensor bytes = bytes_.cpu();
        const at::Tensor before = bytes.narrow(0, 0, kGuardBytes);
        const at::Tensor after = bytes.narrow(0, bytes.size(0) - kGuardBytes, kGuardBytes);
        return (before.ne(kCanary).sum() + after.ne(kCanary).sum()).item<std::int64_t>();
    }

  private:
    [[nodiscard]] at::Tensor inside(const at::Tensor& bytes) const {
        const std::int64_t size = bytes.size(0) - 2 * kGuardBytes;
        return bytes.narrow(0, kGuardBytes, size).view(inside_.scalar_type()).view(inside_.sizes());
    }

    at::Tensor inside_;  // shape and type
    at::Tensor bytes_;
};

// What one run of the candidate leaves. Poisoned before it.
class Outputs {
  public:
    static constexpr int kReadsBefore = 1000;  // counters are added to, so they must not start at 0

    Outputs(const NsaConfig& c, std::int64_t batch, at::ScalarType type, at::Device device)
        : out_{at::full({batch, c.heads, c.dv}, std::numeric_limits<double>::quiet_NaN(), type), device},
          blocks_{at::full({batch, c.groups, c.n}, -7, at::kInt), device},
          reads_{at::full({batch, c.groups, 3}, kReadsBefore, at::kInt), device} {}

    [[nodiscard]] PagedStepOutputs on_device() const {
        return {.out = out_.on_device(), .blocks = blocks_.on_device(), .reads = reads_.on_device()};
    }
    [[nodiscard]] PagedStepOutputs on_cpu() const {
        return {.out = out_.on_cpu(), .blocks = blocks_.on_cpu(), .reads = reads_.on_cpu()};
    }
    [[nodiscard]] std::int64_t canary_hits() const { return out_.hits() + blocks_.hits() + reads_.hits(); }

  private:
    Guarded out_;
    Guarded blocks_;
    Guarded reads_;
};

PagedStepInputs moved_to(const PagedStepInputs& in, at::Device device) {
    const auto moved = [&](const KeysValues& rows) {
        return KeysValues{.k = rows.k.to(device), .v = rows.v.to(device)};
    };
    return {.q = in.q.to(device),
            .gates = in.gates.to(device),
            .raw = moved(in.raw),
            .sel = moved(in.sel),
            .win = moved(in.win)};
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
    return at::equal(a.contiguous().view(at::kByte), b.contiguous().view(at::kByte));
}

std::array<const KeysValues*, 4> pools_of(const PagedCache& cache) {
    return {&cache.raw(), &cache.cmp(), &cache.sel(), &cache.win()};
}

// Keys and values of all pools, in the order of pools_of.
std::vector<at::Tensor> tensors_of(const PagedCache& cache) {
    std::vector<at::Tensor> tensors;
    for (const KeysValues* pool : pools_of(cache)) {
        tensors.push_back(pool->k);
        tensors.push_back(pool->v);
    }
    return tensors;
}

std::int64_t count_differing(const PagedCache& a, const PagedCache& b) {
    const std::vector<at::Tensor> left = tensors_of(a);
    const std::vector<at::Tensor> right = tensors_of(b);
    std::int64_t differing = 0;
    for (std::size_t i = 0; i < left.size(); ++i)
        differing += same_bits(left[i], right[i]) ? 0 : 1;
    return differing;
}

bool emits(std::int64_t t, const NsaConfig& config) {
    return compressed_count(t + 1, config) > compressed_count(t, config);
}

void put_row(const KeysValues& pool, std::int64_t page, std::int64_t row, const at::Tensor& k,
             const at::Tensor& v) {
    pool.k[page].select(1, row).copy_(k);
    pool.v[page].select(1, row).copy_(v);
}

// Tensors of pools that differ from what they held before plus the rows of the step. An emitted row is taken
// as it is: compressed_faults judges it. `expected` is the cache before the step, and is changed.
std::int64_t cache_faults(const StepCase& c, const PagedStepInputs& in, const PagedCache& expected,
                          const PagedCache& actual) {
    for (std::size_t slot = 0; slot < c.positions.size(); ++slot) {
        const std::int64_t t = c.positions[slot];
        if (t < 0) continue;
        const auto b = static_cast<std::int64_t>(slot);
        put_row(expected.raw(), b, t % c.config.l, in.raw.k[b], in.raw.v[b]);
        const PagedCache::Place token = actual.place_of(actual.sel(), b, t);
        put_row(expected.sel(), token.page, token.row, in.sel.k[b], in.sel.v[b]);
        put_row(expected.win(), token.page, token.row, in.win.k[b], in.win.v[b]);
        if (!emits(t, c.config)) continue;
        const PagedCache::Place emitted = actual.place_of(actual.cmp(), b, compressed_count(t, c.config));
        put_row(expected.cmp(), emitted.page, emitted.row,
                actual.cmp().k[emitted.page].select(1, emitted.row),
                actual.cmp().v[emitted.page].select(1, emitted.row));
    }
    return count_differing(expected, actual);
}

// Is the emitted row the mean of the l tokens of the ring, summed in fp32 and rounded once?
bool emitted_wrongly(const at::Tensor& ring, const at::Tensor& emitted, DType dtype) {
    const std::int64_t l = ring.size(1);
    const at::Tensor tokens = ring.unsqueeze(0);
    const at::Tensor mean = reference::compress_mean(tokens, l, l)[0].select(1, 0);  // order does not matter
    const at::Tensor size = reference::compress_mean(tokens.abs(), l, l)[0].select(1, 0);
    const Rounding rounding = rounding_of(dtype);
    constexpr double kFp32 = 0x1p-24;
    const at::Tensor allowed =
        mean.abs() * rounding.relative + size * (static_cast<double>(l) * kFp32) + rounding.absolute;
    return emitted.to(at::kDouble).sub(mean).abs().le(allowed).logical_not().any().item<bool>();
}

std::int64_t compressed_faults(const StepCase& c, const PagedCache& cache) {
    std::int64_t faults = 0;
    for (std::size_t slot = 0; slot < c.positions.size(); ++slot) {
        const std::int64_t t = c.positions[slot];
        if (t < 0 || !emits(t, c.config)) continue;
        const auto b = static_cast<std::int64_t>(slot);
        const PagedCache::Place place = cache.place_of(cache.cmp(), b, compressed_count(t, c.config));
        const auto wrong = [&](const at::Tensor& ring, const at::Tensor& pool) {
            return emitted_wrongly(ring[b], pool[place.page].select(1, place.row), c.dtype) ? 1 : 0;
        };
        faults += wrong(cache.raw().k, cache.cmp().k) + wrong(cache.raw().v, cache.cmp().v);
    }
    return faults;
}

SequenceRows rows_of(const StepCase& c, const PagedStepInputs& in, const PagedCache& cache, std::int64_t b) {
    const std::int64_t t = c.positions[static_cast<std::size_t>(b)];
    return {.t = t,
            .q = in.q[b],
            .gates = in.gates[b],
            .cmp = cache.gather(cache.cmp(), b, compressed_count(t + 1, c.config)),
            .sel = cache.gather(cache.sel(), b, t + 1),
            .win = cache.gather(cache.win(), b, t + 1)};
}

struct SequenceReport {
    at::Tensor truth;
    at::Tensor plain;
    std::int64_t ties = 0;
    std::int64_t faults = 0;
};

SequenceReport judge_sequence(const StepCase& c, const SequenceRows& rows, const at::Tensor& blocks) {
    const TrueSelection expected = true_selection(rows, c.config);
    // Where all keys are equal the oracle's ties are exact, and so must be the candidate's.
    const double rounding = c.data == StepData::kEqualKeys ? 0 : expected.rounding;
    SequenceReport report;
    std::vector<std::vector<std::int64_t>> followed;
    for (std::size_t g = 0; g < expected.blocks.size(); ++g) {
        const at::Tensor row = blocks[static_cast<std::int64_t>(g)].to(at::kLong).contiguous();
        std::vector<std::int64_t> chosen{row.const_data_ptr<std::int64_t>(),
                                         row.const_data_ptr<std::int64_t>() + row.numel()};
        const Selection verdict =
            judge_selection(expected.importance[g], expected.blocks[g], chosen, rounding);
        report.ties += verdict == Selection::kTie ? 1 : 0;
        report.faults += verdict == Selection::kFault ? 1 : 0;
        if (verdict == Selection::kFault) {
            chosen = expected.blocks[g];
            chosen.resize(static_cast<std::size_t>(c.config.n), -1);
        }
        followed.push_back(std::move(chosen));
    }
    const TrueOutput output = true_output(rows, followed, c.config);
    report.truth = output.truth;
    report.plain = output.plain.to(at::kDouble);
    return report;
}

bool reads_differ(const at::Tensor& reads, std::int64_t t, const NsaConfig& config) {
    const Reads expected = t < 0 ? Reads{} : expected_reads(t, config);
    const at::Tensor row =
        at::tensor({expected.cmp, expected.sel, expected.win}, at::kLong) + Outputs::kReadsBefore;
    return reads.to(at::kLong).ne(row).any().item<bool>();
}

// The parts of the report that compare outputs with the oracle, sequence by sequence.
void judge_outputs(const StepCase& c, const PagedStepInputs& in, const PagedCache& cache,
                   const PagedStepOutputs& got, StepReport& report) {
    const auto batch = std::ssize(c.positions);
    const at::Tensor out = got.out.to(at::kDouble);
    const at::Tensor& blocks = got.blocks;
    const at::Tensor& reads = got.reads;
    std::vector<SequenceReport> sequences(c.positions.size());
    at::parallel_for(0, batch, 1, [&](std::int64_t begin, std::int64_t end) {
        const c10::NoGradGuard no_grad;
        for (std::int64_t b = begin; b < end; ++b) {
            const auto slot = static_cast<std::size_t>(b);
            if (c.positions[slot] >= 0)
                sequences[slot] = judge_sequence(c, rows_of(c, in, cache, b), blocks[b]);
        }
    });
    at::Tensor truth = at::zeros_like(out);
    at::Tensor plain = at::zeros_like(out);
    for (std::int64_t b = 0; b < batch; ++b) {
        const auto slot = static_cast<std::size_t>(b);
        report.reads_mismatches += reads_differ(reads[b], c.positions[slot], c.config) ? 1 : 0;
        if (c.positions[slot] < 0) {
            const bool wrote = out[b].ne(0).any().item<bool>() || blocks[b].ne(-1).any().item<bool>();
            report.idle_faults += wrote ? 1 : 0;
            continue;
        }
        truth[b].copy_(sequences[slot].truth);
        plain[b].copy_(sequences[slot].plain);
        report.selection_ties += sequences[slot].ties;
        report.selection_faults += sequences[slot].faults;
        report.bound_ratio = std::max(
            report.bound_ratio, bound_ratio(out[b], sequences[slot].plain, sequences[slot].truth, c.dtype));
    }
    report.error = compare(out, truth);
    report.baseline_mae = compare(plain, truth).mae;
}

}  // namespace

bool StepReport::clean() const {
    return bound_ratio <= 1 && error.nan_count == 0 && error.inf_count == 0 && selection_faults == 0 &&
           reads_mismatches == 0 && canary_hits == 0 && cache_faults == 0 && compressed_faults == 0 &&
           idle_faults == 0 && rerun_differences == 0;
}

RunStep cuda_candidate() {
    return [](const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
        CudaDecode step{cache};
        step.workspace().copy_(at::full({step.workspace().numel()}, 0xFF, at::kByte));
        step.step(in, cache, out);
    };
}

StepReport check_step(const StepCase& c, StepProblem& problem, at::Device device, const RunStep& run) {
    const c10::NoGradGuard no_grad;
    const auto batch = std::ssize(c.positions);
    const at::ScalarType type = problem.in.q.scalar_type();
    const PagedStepInputs in = moved_to(problem.in, device);
    const PagedCache cache = problem.cache.copy_to(device);
    const Outputs first{c.config, batch, type, device};
    const Outputs second{c.config, batch, type, device};

    run(in, cache, first.on_device());
    const PagedCache after = cache.copy_to(at::kCPU);
    const PagedStepOutputs a = first.on_cpu();
    StepReport report;
    report.cache_faults = cache_faults(c, problem.in, problem.cache, after);
    report.compressed_faults = compressed_faults(c, after);
    judge_outputs(c, problem.in, after, a, report);

    // A step may be repeated at the same position, and does the same again.
    run(in, cache, second.on_device());
    const PagedStepOutputs b = second.on_cpu();
    report.rerun_differences = (same_bits(a.out, b.out) ? 0 : 1) + (same_bits(a.reads, b.reads) ? 0 : 1) +
                               (same_bits(a.blocks, b.blocks) ? 0 : 1) +
                               count_differing(after, cache.copy_to(at::kCPU));
    report.canary_hits = first.canary_hits() + second.canary_hits();
    problem.cache = after;
    return report;
}

}  // namespace nsa::core::parity
