#include "step_cases.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "nsa_core/attention.hpp"

namespace nsa::core::test {
namespace {

// Two blocks whose importance, at most the heads of a group, differs by less may change places in fp32.
constexpr double kTie = 1e-5;

// What no step may read.
void poison_unwritten(DecodeCache& cache) {
    for (KeyValueBuffers* buffers : {&cache.raw(), &cache.cmp(), &cache.sel(), &cache.win()}) {
        for (RowBuffer* rows : {&buffers->k, &buffers->v}) {
            const at::Tensor& storage = rows->storage();
            storage.narrow(2, rows->length(), storage.size(2) - rows->length())
                .fill_(std::numeric_limits<double>::quiet_NaN());
        }
    }
}

Truth true_step(const NSAAttention& module, const at::Tensor& x, DecodeCache& cache) {
    const NsaConfig& c = module.config();
    const StepInputs in = module.step_project(x.to(at::kDouble), cache);
    const StepCompressed cmp = module.step_compressed(in, cache);
    const StepBranch sel = module.step_selected(in, cmp.blocks, cache);
    const StepBranch win = module.step_sliding(in, cache);
    const at::Tensor importance =
        block_importance(in.q, cache.cmp().k.rows(), in.t, block_count(in.t + 1, c), c);
    return {.out = module.step_combine(in, cmp.out, sel.out, win.out).to(at::kCPU),
            .blocks = cmp.blocks.squeeze(2).squeeze(0).to(at::kCPU),
            .importance = importance.squeeze(2).squeeze(0).to(at::kCPU)};
}

Reads reads_of(const StepCandidate& step, std::int64_t group) {
    const at::Tensor reads = step.reads().to(at::kCPU);
    const auto of = [&](int branch) { return static_cast<std::int64_t>(reads[group][branch].item<int>()); };
    return {.cmp = of(0), .sel = of(1), .win = of(2)};
}

}  // namespace

Layer::Layer(const NsaConfig& config, RoutePolicy policy, at::Device device)
    : fp32{config, at::TensorOptions{device}.dtype(at::kFloat), /*seed=*/5, policy},
      fp64{config, at::TensorOptions{device}.dtype(at::kDouble), /*seed=*/5, policy} {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < fp64.parameters().size(); ++i) {
        const at::Tensor weight = fp64.parameters()[i].tensor;
        weight.copy_(fp32.parameters()[i].tensor);
    }
    fp64.ask_route(Route::kReference);
}

at::Tensor token(const NsaConfig& c, std::int64_t t, at::Device device) {
    return random({1, c.dim}, 1000 + static_cast<std::uint64_t>(t), at::kFloat).to(device);
}

void fill(const NsaConfig& c, std::int64_t length, std::initializer_list<DecodeCache*> caches) {
    const auto rows = [&](std::uint64_t seed, std::int64_t width) {
        return random({1, c.groups, length, width}, seed, at::kFloat);
    };
    const at::Tensor k[] = {rows(1, c.dk), rows(2, c.dk), rows(3, c.dk)};
    const at::Tensor v[] = {rows(4, c.dv), rows(5, c.dv), rows(6, c.dv)};
    const at::Tensor k_cmp = compress_mean(k[0], c);
    const at::Tensor v_cmp = compress_mean(v[0], c);
    for (DecodeCache* cache : caches) {
        const at::TensorOptions to = cache->raw().k.storage().options();
        cache->raw().append(k[0].to(to), v[0].to(to));
        cache->sel().append(k[1].to(to), v[1].to(to));
        cache->win().append(k[2].to(to), v[2].to(to));
        cache->cmp().append(k_cmp.to(to), v_cmp.to(to));
    }
}

bool same_blocks(const Truth& truth, const at::Tensor& picked) {
    bool same = true;
    for (std::int64_t g = 0; g < truth.blocks.size(0); ++g) {
        std::set<std::int64_t> wanted;
        std::set<std::int64_t> got;
        for (std::int64_t i = 0; i < truth.blocks.size(1); ++i)
            wanted.insert(truth.blocks[g][i].item<std::int64_t>());
        std::int64_t last = -1;
        for (std::int64_t i = 0; i < picked.size(1); ++i) {
            const auto block = static_cast<std::int64_t>(picked[g][i].item<int>());
            if (i >= truth.blocks.size(1)) {
                EXPECT_EQ(block, -1) << "slot " << i;
                continue;
            }
            EXPECT_GT(block, last) << "slot " << i;  // ascending, hence distinct
            EXPECT_LT(block, truth.importance.size(1));
            last = block;
            got.insert(block);
        }
        for (const std::int64_t block : wanted) {
            if (got.contains(block)) continue;
            same = false;
            for (const std::int64_t instead : got) {
                if (wanted.contains(instead)) continue;
                EXPECT_LT(
                    truth.importance[g][block].item<double>() - truth.importance[g][instead].item<double>(),
                    kTie)
                    << "group " << g << ": block " << instead << " in place of " << block;
            }
        }
    }
    return same;
}

void Tally::expect_good() const {
    EXPECT_LE(ours, 2 * plain + 2e-6);
    EXPECT_LE(ties, 1 + steps / 100);
}

Tally run_candidate(const Layer& layer, std::int64_t begin, std::int64_t count, const MakeStep& make) {
    const NsaConfig& c = layer.fp32.config();
    const std::int64_t capacity = begin + count;
    DecodeCache ours = layer.fp32.make_cache(1, capacity);
    DecodeCache plain = layer.fp32.make_cache(1, capacity);
    DecodeCache truth = layer.fp64.make_cache(1, capacity);
    if (begin > 0) fill(c, begin, {&ours, &plain, &truth});
    const std::unique_ptr<StepCandidate> step = make(layer.fp32, ours, capacity);
    const at::Device device = ours.raw().k.storage().device();
    poison_unwritten(ours);
    Tally tally;
    for (std::int64_t t = begin; t < capacity; ++t) {
        const at::Tensor x = token(c, t, device);
        const Truth want = true_step(layer.fp64, x, truth);
        const at::Tensor plain_out = layer.fp32.decode(x, plain).out;
        const at::Tensor out = step->step(x);
        for (std::int64_t g = 0; g < c.groups; ++g)
            EXPECT_EQ(reads_of(*step, g), expected_reads(t, c)) << "t = " << t << ", group " << g;
        ++tally.steps;
        if (!same_blocks(want, step->blocks().to(at::kCPU))) {
            ++tally.ties;
            continue;
        }
        const double error = max_abs(out, want.out);
        EXPECT_FALSE(std::isnan(error)) << "t = " << t;
        tally.ours = std::max(tally.ours, error);
        tally.plain = std::max(tally.plain, max_abs(plain_out, want.out));
        if (testing::Test::HasFailure()) break;  // the first wrong step says enough
    }
    EXPECT_EQ(ours.length(), truth.length());
    EXPECT_EQ(ours.compressed(), truth.compressed());
    return tally;
}

}  // namespace nsa::core::test
