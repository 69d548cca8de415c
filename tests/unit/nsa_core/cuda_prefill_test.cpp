// Route cuda over whole sequences against the fp64 oracle, forward and every gradient, over the grid of
// types, widths, heads in a group and lengths. Label gpu: these fail, not skip, without a device. The suite
// CudaPrefillSmall is what runs under compute-sanitizer; with PYTORCH_NO_CUDA_MEMORY_CACHING=1 every tensor
// is an allocation of its own, so that memcheck sees a write outside of it.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <tuple>

#include "kernel_cases.hpp"
#include "nsa_core/attention.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/parity/compression_check.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/prefill_check.hpp"
#include "nsa_core/routes/captured.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core {
namespace {

using parity::PrefillCase;
using parity::PrefillReport;
using parity::StepData;
using test::kTypes;
using test::kWidths;
using test::Widths;

constexpr StepData kUnusual[] = {StepData::kTiny, StepData::kHuge, StepData::kEqualKeys};

const at::Device kGpu{at::kCUDA, 0};

// Few blocks selected and a short window, so that short sequences have something to choose from: the oracle's
// loops are slow.
NsaConfig config_of(Widths widths, std::int64_t per_group, std::int64_t groups = 2) {
    NsaConfig c;
    c.heads = groups * per_group;
    c.groups = groups;
    c.dk = widths.dk;
    c.dv = widths.dv;
    c.n = 4;
    c.w = 100;
    return c;
}

class CudaPrefillTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(kernels_built()) << "this test needs a build with nvcc";
        ASSERT_TRUE(cuda_available()) << "this test needs a CUDA device";
    }

    static void expect_clean(const PrefillCase& c) {
        const PrefillReport r =
            parity::check_prefill(c, kGpu, parity::prefill_candidate(c, cuda_prefill_kernels(kGpu)));
        EXPECT_TRUE(r.clean()) << r.text();
        if (c.data == StepData::kNormal) {
            EXPECT_LE(r.selection_ties, 1 + c.tokens() * c.config.groups / 20) << r.text();
        }
    }
};

class CudaPrefillGrid : public CudaPrefillTest,
                        public testing::WithParamInterface<std::tuple<DType, Widths, std::int64_t>> {};

std::string grid_name(const testing::TestParamInfo<CudaPrefillGrid::ParamType>& info) {
    const auto& [dtype, widths, per_group] = info.param;
    return test::name_of(dtype, widths) + "_g" + std::to_string(per_group);
}

TEST_P(CudaPrefillGrid, a_sequence_equals_the_oracle_forward_and_backward) {
    const auto& [dtype, widths, per_group] = GetParam();
    expect_clean({.config = config_of(widths, per_group), .dtype = dtype, .lengths = {333}});
}

INSTANTIATE_TEST_SUITE_P(AllShapes, CudaPrefillGrid,
                         testing::Combine(testing::ValuesIn(kTypes), testing::ValuesIn(kWidths),
                                          testing::Values(1, 2, 4, 8, 16)),
                         grid_name);

TEST_F(CudaPrefillTest, heads_narrower_than_the_kernels_equal_the_oracle) {
    for (const Widths widths : {Widths{16, 16}, Widths{24, 10}, Widths{136, 120}}) {
        SCOPED_TRACE("dk " + std::to_string(widths.dk));
        expect_clean({.config = config_of(widths, 4), .lengths = {200, 200}});
    }
}

TEST_F(CudaPrefillTest, packed_sequences_of_many_lengths_equal_the_oracle) {
    for (const DType dtype : kTypes) {
        for (const Widths widths : kWidths) {
            SCOPED_TRACE(std::string{name(dtype)} + ", dk " + std::to_string(widths.dk));
            expect_clean({.config = config_of(widths, 4),
                          .dtype = dtype,
                          .lengths = {1, 31, 32, 300, 64, 47, 2, 129},
                          .packed = true});
        }
    }
}

TEST_F(CudaPrefillTest, every_length_around_an_edge_equals_the_oracle) {
    for (const std::int64_t length :
         {1, 16, 31, 32, 33, 47, 48, 63, 64, 65, 100, 101, 128, 129, 255, 256, 257}) {
        SCOPED_TRACE(length);
        expect_clean({.config = config_of({64, 64}, 4), .lengths = {length, length}});
    }
}

TEST_F(CudaPrefillTest, unusual_values_equal_the_oracle) {
    for (const DType dtype : kTypes) {
        for (const StepData data : kUnusual) {
            for (const Widths widths : {Widths{32, 32}, Widths{128, 128}, Widths{192, 128}}) {
                SCOPED_TRACE(std::string{name(dtype)} + ", dk " + std::to_string(widths.dk) + ", data " +
                             std::to_string(static_cast<int>(data)));
                expect_clean(
                    {.config = config_of(widths, 4), .dtype = dtype, .lengths = {300}, .data = data});
            }
        }
    }
}

TEST_F(CudaPrefillTest, other_counts_of_blocks_and_windows_equal_the_oracle) {
    struct Change {
        std::int64_t n, n_initial, n_local, w;
    };
    for (const Change change : {Change{3, 1, 2, 1}, Change{16, 2, 3, 512}, Change{32, 1, 2, 64}}) {
        SCOPED_TRACE("n " + std::to_string(change.n) + ", w " + std::to_string(change.w));
        NsaConfig c = config_of({64, 64}, 8, /*groups=*/1);
        c.n = change.n;
        c.n_initial = change.n_initial;
        c.n_local = change.n_local;
        c.w = change.w;
        expect_clean({.config = c, .lengths = {900}});
    }
}

// Long enough that gradients of keys and values are cut into parts.
TEST_F(CudaPrefillTest, a_long_sequence_equals_the_oracle) {
    NsaConfig c = config_of({64, 64}, 4, /*groups=*/1);
    c.n = 16;
    c.w = 512;
    expect_clean({.config = c, .lengths = {2500}});
}

// The public functions: a branch alone has the bits of the branch in the fused function, and the layer's.
TEST_F(CudaPrefillTest, branches_alone_equal_those_of_the_fused_function) {
    const PrefillCase c{.config = config_of({64, 64}, 4), .lengths = {300, 300}};
    const parity::PrefillProblem p = parity::on_device(parity::PrefillProblem{c}, kGpu);
    const Execution how{.route = Route::kCuda};
    const KeysValues cmp = compress_mean(p.in.raw, c.config, how);
    const GatedAttention all =
        gated_attention({.q = p.in.q, .cmp = cmp, .sel = p.in.sel, .win = p.in.win, .gates = p.in.gates},
                        c.config, {how, how, how});
    EXPECT_TRUE(at::equal(all.cmp, compressed_attention(p.in.q, cmp.k, cmp.v, c.config, how)));
    EXPECT_TRUE(at::equal(all.blocks, choose_blocks(p.in.q, cmp, c.config, how)));
    EXPECT_TRUE(
        at::equal(all.sel, selected_attention(p.in.q, p.in.sel.k, p.in.sel.v, all.blocks, c.config, how)));
    EXPECT_TRUE(at::equal(
        all.win, sliding_attention(p.in.q, p.in.win.k, p.in.win.v, c.config.w, c.config.scale(), how)));
}

TEST_F(CudaPrefillTest, learnable_compression_equals_libtorchs_forward_and_backward) {
    for (const parity::CompressionCase& c :
         {parity::CompressionCase{
              .dk = 128, .dv = 128, .hidden = 64, .lengths = {700, 700}, .l = 32, .d = 16},
          {.dk = 64, .dv = 64, .hidden = 256, .lengths = {3000}, .l = 32, .d = 16},
          {.dk = 10, .dv = 20, .hidden = 10, .lengths = {300}},
          {.lengths = {7, 40, 500, 1, 33}, .packed = true, .dtype = DType::kFp16}}) {
        const parity::CompressionReport r = parity::check_compression(c, kGpu, cuda_prefill_kernels(kGpu));
        EXPECT_TRUE(r.clean()) << r.text();
    }
}

TEST_F(CudaPrefillTest, packed_attention_equals_its_sequences_one_by_one) {
    const PrefillCase c{.config = config_of({64, 64}, 4), .lengths = {70, 1, 200}, .packed = true};
    const parity::PrefillProblem p = parity::on_device(parity::PrefillProblem{c}, kGpu);
    const auto packed = [](const at::Tensor& x) { return x.squeeze(0).transpose(0, 1); };
    const auto rows = [&](const KeysValues& x) { return KeysValues{.k = packed(x.k), .v = packed(x.v)}; };
    const at::Tensor out = packed_attention({.q = packed(p.in.q),
                                             .raw = rows(p.in.raw),
                                             .sel = rows(p.in.sel),
                                             .win = rows(p.in.win),
                                             .gates = packed(p.in.gates),
                                             .cu_tokens = p.cu_tokens,
                                             .longest = 200},
                                            c.config);
    const Execution how{.route = Route::kCuda};
    std::int64_t first = 0;
    for (const std::int64_t length : c.lengths) {
        const auto one = [&](const at::Tensor& x) { return x.narrow(2, first, length); };
        const auto both = [&](const KeysValues& x) { return KeysValues{.k = one(x.k), .v = one(x.v)}; };
        const at::Tensor alone = gated_attention({.q = one(p.in.q),
                                                  .cmp = compress_mean(both(p.in.raw), c.config, how),
                                                  .sel = both(p.in.sel),
                                                  .win = both(p.in.win),
                                                  .gates = one(p.in.gates)},
                                                 c.config, {how, how, how})
                                     .out;
        EXPECT_TRUE(at::equal(out.narrow(0, first, length), packed(alone))) << length << " tokens";
        first += length;
    }
}

TEST_F(CudaPrefillTest, a_layer_takes_the_route_and_states_it) {
    NsaConfig c = config_of({32, 32}, 4);
    c.dim = 128;
    const at::TensorOptions options = at::TensorOptions{at::kBFloat16}.device(kGpu);
    NSAAttention layer{c, options, /*seed=*/1};
    layer.ask_route(Route::kCuda);
    const at::Tensor x = at::randn({2, 150, c.dim}, options);
    const PrefillResult ours = layer.prefill(x);
    for (const RouteChoice* choice : {&ours.routes.cmp, &ours.routes.sel, &ours.routes.win})
        EXPECT_EQ(choice->taken, Route::kCuda) << choice->reason;
    layer.ask_route(Route::kReference);
    const PrefillResult usual = layer.prefill(x, nullptr, ours.blocks);
    EXPECT_LT((ours.out - usual.out).abs().max().item<double>(), 0.02 * usual.out.abs().max().item<double>());
}

TEST_F(CudaPrefillTest, forward_and_backward_can_be_captured_and_replayed) {
    const PrefillCase c{.config = config_of({64, 64}, 4), .lengths = {300}};
    const parity::PrefillProblem p = parity::on_device(parity::PrefillProblem{c}, kGpu);
    const auto run = [&] { return parity::run_prefill(c, p, cuda_prefill_kernels(kGpu)); };
    const parity::PrefillOutputs eager = run();
    parity::PrefillOutputs replayed;
    Captured graph{[&] { replayed = run(); }};
    replayed.out.detach().zero_();
    graph.replay();
    EXPECT_TRUE(at::equal(eager.out, replayed.out));
    EXPECT_TRUE(at::equal(eager.gradients.q, replayed.gradients.q));
    EXPECT_TRUE(at::equal(eager.gradients.raw.k, replayed.gradients.raw.k));
    EXPECT_TRUE(at::equal(eager.gradients.sel.v, replayed.gradients.sel.v));
}

TEST_F(CudaPrefillTest, types_and_shapes_that_the_kernels_do_not_take_are_refused_with_the_reason) {
    const at::Tensor wide = at::zeros({1, 2, 8, 64}, at::TensorOptions{at::kFloat}.device(kGpu));
    try {
        (void)sliding_attention(wide, wide, wide, 4, 0.125, {.route = Route::kCuda});
        FAIL() << "fp32 was taken";
    } catch (const InputError& error) {
        EXPECT_NE(std::string{error.what()}.find("needs fp16 or bf16"), std::string::npos);
    }
}

// What runs with CUDA_FORCE_PTX_JIT=1 too: the compute_80 code, the path of an A100.
class CudaPrefill80 : public CudaPrefillTest,
                      public testing::WithParamInterface<std::tuple<DType, Widths, std::int64_t>> {};

TEST_P(CudaPrefill80, a_batch_equals_the_oracle_forward_and_backward) {
    const auto& [dtype, widths, per_group] = GetParam();
    const PrefillCase c{.config = config_of(widths, per_group), .dtype = dtype, .lengths = {200, 200}};
    const PrefillReport r =
        parity::check_raw_prefill(c, kGpu, parity::raw_prefill_candidate(c, cuda_prefill_kernels(kGpu)));
    EXPECT_TRUE(r.clean()) << r.text();
}

INSTANTIATE_TEST_SUITE_P(AllShapes, CudaPrefill80,
                         testing::Combine(testing::ValuesIn(kTypes), testing::ValuesIn(kWidths),
                                          testing::Values(1, 4, 16)),
                         grid_name);

class CudaPrefillSmall : public CudaPrefillTest {};

TEST_F(CudaPrefillSmall, edges_of_one_shape) {
    expect_clean({.config = config_of({64, 64}, 4), .lengths = {130}});
    expect_clean({.config = config_of({192, 128}, 16, /*groups=*/1), .lengths = {70}});
    expect_clean(
        {.config = config_of({32, 32}, 1), .dtype = DType::kFp16, .lengths = {1, 40, 97}, .packed = true});
}

TEST_F(CudaPrefillSmall, learnable_compression) {
    for (const parity::CompressionCase& c :
         {parity::CompressionCase{.dk = 192, .dv = 128, .hidden = 72},
          {.hidden = 8, .lengths = {1, 40, 97}, .packed = true, .dtype = DType::kFp16}}) {
        const parity::CompressionReport r = parity::check_compression(c, kGpu, cuda_prefill_kernels(kGpu));
        EXPECT_TRUE(r.clean()) << r.text();
    }
}

}  // namespace
}  // namespace nsa::core
