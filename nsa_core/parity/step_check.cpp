#include "nsa_core/parity/step_check.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/step_selection.hpp"
#include "nsa_core/parity/step_truth.hpp"
#include "nsa_core/reference.hpp"

namespace nsa::core::parity {
namespace {

constexpr std::int64_t kGuardBytes = 8192;
constexpr std::uint8_t kCanary = 0xA5;

// A tensor with guard bytes on both sides.
class Guarded {
  public:
    Guarded(at::IntArrayRef shape, at::TensorOptions options) {
        const std::int64_t bytes =
            c10::multiply_integers(shape) * static_cast<std::int64_t>(options.dtype().itemsize());
        bytes_ = at::full({bytes + 2 * kGuardBytes}, kCanary, options.dtype(at::kByte));
        const auto type = c10::typeMetaToScalarType(options.dtype());
        inside_ = bytes_.narrow(0, kGuardBytes, bytes).view(type).view(shape);
    }
    [[nodiscard]] const at::Tensor& inside() const { return inside_; }
    [[nodiscard]] std::int64_t hits() const {
        const at::Tensor before = bytes_.narrow(0, 0, kGuardBytes);
        const at::Tensor after = bytes_.narrow(0, bytes_.size(0) - kGuardBytes, kGuardBytes);
        return (before.ne(kCanary).sum() + after.ne(kCanary).sum()).item<std::int64_t>();
    }

  private:
    at::Tensor bytes_;
    at::Tensor inside_;
};

// What one run of the candidate left.
class Outputs {
  public:
    static constexpr int kReadsBefore = 1000;  // counters are added to, so they must not start at 0

    Outputs(const NsaConfig& c, std::int64_t batch, at::TensorOptions options)
        : out_{{batch, c.heads, c.dv}, options},
          blocks_{{batch, c.groups, c.n}, options.dtype(at::kInt)},
          reads_{{batch, c.groups, 3}, options.dtype(at::kInt)} {
        out_.inside().fill_(std::numeric_limits<double>::quiet_NaN());
        blocks_.inside().fill_(-7);
        reads_.inside().fill_(kReadsBefore);
    }
    [[nodiscard]] PagedStepOutputs tensors() const {
        return {.out = out_.inside(), .blocks = blocks_.inside(), .reads = reads_.inside()};
    }
    [[nodiscard]] std::int64_t canary_hits() const { return out_.hits() + blocks_.hits() + reads_.hits(); }

  private:
    Guarded out_;
    Guarded blocks_;
    Guarded reads_;
};

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
    return at::equal(a.contiguous().view(at::kByte), b.contiguous().view(at::kByte));
}

std::array<const KeysValues*, 4> pools_of(const PagedCache& cache) {
    return {&cache.raw(), &cache.cmp(), &cache.sel(), &cache.win()};
}

std::vector<at::Tensor> copy_of(const PagedCache& cache) {
    std::vector<at::Tensor> copies;
    for (const KeysValues* pool : pools_of(cache)) {
        copies.push_back(pool->k.clone());
        copies.push_back(pool->v.clone());
    }
    return copies;
}

bool emits(std::int64_t t, const NsaConfig& config) {
    return compressed_count(t + 1, config) > compressed_count(t, config);
}

// One write of the step, in the copy of the pools made before it.
void expect_row(std::vector<at::Tensor>& copies, std::size_t pool, std::int64_t page, std::int64_t row,
                const at::Tensor& k, const at::Tensor& v) {
    copies[2 * pool][page].select(1, row).copy_(k);
    copies[2 * pool + 1][page].select(1, row).copy_(v);
}

// Pools, of eight, that differ from what they held before plus the rows of the step. An emitted row is taken
// as it is: compressed_fault judges it.
std::int64_t cache_faults(const StepCase& c, const StepProblem& problem, std::vector<at::Tensor> expected) {
    const PagedCache& cache = problem.cache;
    for (std::size_t slot = 0; slot < c.positions.size(); ++slot) {
        const std::int64_t t = c.positions[slot];
        if (t < 0) continue;
        const auto b = static_cast<std::int64_t>(slot);
        expect_row(expected, 0, b, t % c.config.l, problem.in.raw.k[b], problem.in.raw.v[b]);
        const PagedCache::Place token = cache.place_of(cache.sel(), b, t);
        expect_row(expected, 2, token.page, token.row, problem.in.sel.k[b], problem.in.sel.v[b]);
        expect_row(expected, 3, token.page, token.row, problem.in.win.k[b], problem.in.win.v[b]);
        if (!emits(t, c.config)) continue;
        const PagedCache::Place emitted = cache.place_of(cache.cmp(), b, compressed_count(t, c.config));
        expect_row(expected, 1, emitted.page, emitted.row, cache.cmp().k[emitted.page].select(1, emitted.row),
                   cache.cmp().v[emitted.page].select(1, emitted.row));
    }
    std::int64_t faults = 0;
    const std::vector<at::Tensor> actual = copy_of(cache);
    for (std::size_t i = 0; i < actual.size(); ++i)
        faults += same_bits(actual[i], expected[i]) ? 0 : 1;
    return faults;
}

// The most that one rounding moves a value, as a share of it, and the smallest step near 0.
struct Rounding {
    double relative;
    double absolute;
};
Rounding rounding_of(DType dtype) {
    switch (dtype) {
        case DType::kBf16:
            return {.relative = 0x1p-8, .absolute = 0x1p-133};
        case DType::kFp16:
            return {.relative = 0x1p-11, .absolute = 0x1p-24};
        case DType::kFp32:
            return {.relative = 0x1p-24, .absolute = 0x1p-149};
        case DType::kFp64:
            break;
    }
    return {.relative = 0x1p-53, .absolute = 0};
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
    return emitted.to(at::kCPU, at::kDouble).sub(mean).abs().le(allowed).logical_not().any().item<bool>();
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

SequenceRows rows_of(const StepCase& c, const StepProblem& problem, std::int64_t b) {
    const std::int64_t t = c.positions[static_cast<std::size_t>(b)];
    const auto on_cpu = [](const KeysValues& rows) {
        return KeysValues{.k = rows.k.cpu(), .v = rows.v.cpu()};
    };
    const PagedCache& cache = problem.cache;
    return {.t = t,
            .q = problem.in.q[b].cpu(),
            .gates = problem.in.gates[b].cpu(),
            .cmp = on_cpu(cache.gather(cache.cmp(), b, compressed_count(t + 1, c.config))),
            .sel = on_cpu(cache.gather(cache.sel(), b, t + 1)),
            .win = on_cpu(cache.gather(cache.win(), b, t + 1))};
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

double bound_ratio(const at::Tensor& ours, const SequenceReport& sequence, DType dtype) {
    const auto largest = [](const at::Tensor& x) { return x.abs().max().item<double>(); };
    const Rounding rounding = rounding_of(dtype);
    const double allowed = 2 * largest(sequence.plain - sequence.truth) +
                           rounding.relative * largest(sequence.truth) + rounding.absolute;
    const double error = largest(ours - sequence.truth);
    if (std::isfinite(error) && error <= allowed) return allowed == 0 ? 0 : error / allowed;
    return std::isfinite(error) && allowed > 0 ? error / allowed : std::numeric_limits<double>::infinity();
}

bool reads_differ(const at::Tensor& reads, std::int64_t t, const NsaConfig& config) {
    const Reads expected = t < 0 ? Reads{} : expected_reads(t, config);
    const at::Tensor row =
        at::tensor({expected.cmp, expected.sel, expected.win}, at::kLong) + Outputs::kReadsBefore;
    return reads.to(at::kLong).ne(row).any().item<bool>();
}

// The parts of the report that compare outputs with the oracle, sequence by sequence.
void judge_outputs(const StepCase& c, const StepProblem& problem, const PagedStepOutputs& got,
                   StepReport& report) {
    const auto batch = std::ssize(c.positions);
    const at::Tensor out = got.out.cpu().to(at::kDouble);
    const at::Tensor blocks = got.blocks.cpu();
    const at::Tensor reads = got.reads.cpu();
    std::vector<SequenceRows> rows(c.positions.size());
    for (std::int64_t b = 0; b < batch; ++b) {
        if (c.positions[static_cast<std::size_t>(b)] >= 0)
            rows[static_cast<std::size_t>(b)] = rows_of(c, problem, b);
    }
    std::vector<SequenceReport> sequences(c.positions.size());
    at::parallel_for(0, batch, 1, [&](std::int64_t begin, std::int64_t end) {
        const c10::NoGradGuard no_grad;
        for (std::int64_t b = begin; b < end; ++b) {
            const auto slot = static_cast<std::size_t>(b);
            if (c.positions[slot] >= 0) sequences[slot] = judge_sequence(c, rows[slot], blocks[b]);
        }
    });
    at::Tensor truth = at::zeros_like(out);
    at::Tensor plain = at::zeros_like(out);
    for (std::int64_t b = 0; b < batch; ++b) {
        const auto slot = static_cast<std::size_t>(b);
        report.reads_mismatches += reads_differ(reads[b], c.positions[slot], c.config) ? 1 : 0;
        if (c.positions[slot] < 0) {
            report.idle_faults += out[b].ne(0).any().item<bool>() ? 1 : 0;
            continue;
        }
        truth[b].copy_(sequences[slot].truth);
        plain[b].copy_(sequences[slot].plain);
        report.selection_ties += sequences[slot].ties;
        report.selection_faults += sequences[slot].faults;
        report.bound_ratio = std::max(report.bound_ratio, bound_ratio(out[b], sequences[slot], c.dtype));
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

StepReport check_step(const StepCase& c, const StepProblem& problem, const RunStep& run) {
    const c10::NoGradGuard no_grad;
    const at::TensorOptions options = problem.in.q.options();
    const auto batch = std::ssize(c.positions);
    std::vector<at::Tensor> before = copy_of(problem.cache);
    const Outputs first{c.config, batch, options};
    const Outputs second{c.config, batch, options};
    run(problem.in, problem.cache, first.tensors());
    StepReport report;
    report.cache_faults = cache_faults(c, problem, std::move(before));
    report.compressed_faults = compressed_faults(c, problem.cache);
    judge_outputs(c, problem, first.tensors(), report);

    // A step may be repeated at the same position, and does the same again.
    const std::vector<at::Tensor> after = copy_of(problem.cache);
    run(problem.in, problem.cache, second.tensors());
    const PagedStepOutputs a = first.tensors();
    const PagedStepOutputs b = second.tensors();
    report.rerun_differences = (same_bits(a.out, b.out) ? 0 : 1) + (same_bits(a.reads, b.reads) ? 0 : 1);
    const at::Tensor busy = problem.cache.position().ge(0);  // blocks of idle slots are not written
    report.rerun_differences += same_bits(a.blocks.index({busy}), b.blocks.index({busy})) ? 0 : 1;
    const std::vector<at::Tensor> again = copy_of(problem.cache);
    for (std::size_t i = 0; i < after.size(); ++i)
        report.rerun_differences += same_bits(after[i], again[i]) ? 0 : 1;
    report.canary_hits = first.canary_hits() + second.canary_hits();
    return report;
}

}  // namespace nsa::core::parity
