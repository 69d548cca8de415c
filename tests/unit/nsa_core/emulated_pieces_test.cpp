// The pieces that prefill-bench times on route cuda: which kernels each of them launches, and that they are
// the whole. Over the emulator.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "emulator/prefill/emulated_kernels.hpp"
#include "nsa_core/bench/prefill_pieces.hpp"
#include "nsa_core/parity/metrics.hpp"

namespace nsa::core::bench {
namespace {

using Launches = std::vector<std::string>;

// Writes down what is launched.
class Recorded final : public PrefillKernels {
  public:
    cuda::DeviceLimits limits() const override { return kernels_.limits(); }
    void mean_pool(const cuda::MeanPool& p) const override {
        launches_.emplace_back("mean_pool");
        kernels_.mean_pool(p);
    }
    void mean_pool_backward(const cuda::MeanPoolBackward& p) const override {
        launches_.emplace_back("mean_pool_backward");
        kernels_.mean_pool_backward(p);
    }
    void compress_forward(const cuda::CompressForward& p) const override {
        launches_.emplace_back("compress_forward");
        kernels_.compress_forward(p);
    }
    void compress_backward(const cuda::CompressBackward& p, const cuda::CompressPlan& plan) const override {
        launches_.emplace_back("compress_backward");
        kernels_.compress_backward(p, plan);
    }
    void dense_forward(const cuda::DenseForward& p) const override {
        launches_.emplace_back("dense_forward");
        kernels_.dense_forward(p);
    }
    void dense_backward(const cuda::DenseBackward& p, const cuda::DensePlan& plan) const override {
        launches_.emplace_back("dense_backward");
        kernels_.dense_backward(p, plan);
    }
    void importance_top_n(const cuda::ImportanceTopN& p) const override {
        launches_.emplace_back("importance_top_n");
        kernels_.importance_top_n(p);
    }
    void inverse_lists(const cuda::MakeInverseLists& p) const override {
        launches_.emplace_back("inverse_lists");
        kernels_.inverse_lists(p);
    }
    void selected_forward(const cuda::SelectedForward& p) const override {
        launches_.emplace_back("selected_forward");
        kernels_.selected_forward(p);
    }
    void selected_backward(const cuda::SelectedBackward& p) const override {
        launches_.emplace_back("selected_backward");
        kernels_.selected_backward(p);
    }
    void combine(const cuda::Combine& p) const override {
        launches_.emplace_back("combine");
        kernels_.combine(p);
    }
    void combine_backward(const cuda::CombineBackward& p) const override {
        launches_.emplace_back("combine_backward");
        kernels_.combine_backward(p);
    }

    // Those since the last call.
    [[nodiscard]] Launches taken() const { return std::exchange(launches_, {}); }

  private:
    const PrefillKernels& kernels_ = prefill_test::emulated_prefill_kernels();
    mutable Launches launches_;
};

struct KernelPieces : testing::Test {
    static NsaConfig configured() {
        NsaConfig c;
        c.heads = 4;
        c.groups = 2;
        c.dk = c.dv = 32;
        c.n = 4;
        c.w = 40;
        return c;
    }

    Recorded kernels;
    NsaConfig config = configured();
    CudaCall call{.config = config, .scale = config.scale(), .packing = {}, .kernels = &kernels};
    PrefillInputs in = random_inputs({}, config, 330, at::TensorOptions{at::kBFloat16});
    std::vector<Piece> pieces = pieces_of(in, parts_by_kernels(in, call));

    [[nodiscard]] const Piece& piece(PrefillPart part) const {
        for (const Piece& one : pieces) {
            if (one.metric == metric_of(part)) return one;
        }
        throw std::logic_error{"no such piece"};
    }
    [[nodiscard]] GatedAttention whole() const {
        const BranchInputs all{.q = in.q,
                               .cmp = cuda_compress_mean({.k = in.k_raw, .v = in.v_raw}, call),
                               .sel = {.k = in.k_sel, .v = in.v_sel},
                               .win = {.k = in.k_win, .v = in.v_win},
                               .gates = in.gates};
        return cuda_gated_attention(all, {}, call);
    }
};

TEST_F(KernelPieces, launch_the_kernels_of_their_part_and_no_other) {
    const std::map<PrefillPart, std::array<Launches, 2>> expected{
        {PrefillPart::kCompress, {Launches{"mean_pool"}, Launches{"mean_pool_backward"}}},
        {PrefillPart::kCompressed,
         {Launches{"dense_forward"}, Launches{"combine_backward", "dense_backward"}}},
        {PrefillPart::kSelect, {Launches{"importance_top_n"}, Launches{}}},
        {PrefillPart::kSelected,
         {Launches{"selected_forward"}, Launches{"combine_backward", "inverse_lists", "selected_backward"}}},
        {PrefillPart::kSliding, {Launches{"dense_forward"}, Launches{"combine_backward", "dense_backward"}}},
        {PrefillPart::kCombine, {Launches{"combine"}, Launches{"combine_backward"}}}};
    (void)kernels.taken();  // what was computed for the pieces
    for (const auto& [part, launches] : expected) {
        const Piece& one = piece(part);
        SCOPED_TRACE(one.metric);
        const std::vector<at::Tensor> outputs = one.forward();
        EXPECT_EQ(kernels.taken(), launches[0]);
        if (!one.runs(Pass::kBackward)) continue;
        at::Tensor sum = at::zeros({}, at::kFloat);
        for (const at::Tensor& output : outputs)
            sum = sum + output.to(at::kFloat).sum();
        sum.backward();
        EXPECT_EQ(kernels.taken(), launches[1]);
    }
}

TEST(KernelPiecesLearnable, compress_by_their_own_kernels) {
    const Recorded kernels;
    NsaConfig config = KernelPieces::configured();
    config.compressor = Compressor::kMlp;
    config.phi_hidden = 8;
    const CudaCall call{.config = config, .scale = config.scale(), .packing = {}, .kernels = &kernels};
    const PrefillInputs in = random_inputs({}, config, 70, at::TensorOptions{at::kBFloat16});
    const Piece compress = pieces_of(in, parts_by_kernels(in, call)).front();
    EXPECT_EQ(compress.leaves.size(), 12) << "rows, and ten weights";
    (void)kernels.taken();
    const std::vector<at::Tensor> outputs = compress.forward();
    EXPECT_EQ(kernels.taken(), Launches{"compress_forward"});
    (outputs[0].to(at::kFloat).sum() + outputs[1].to(at::kFloat).sum()).backward();
    EXPECT_EQ(kernels.taken(), Launches{"compress_backward"});
}

TEST_F(KernelPieces, select_the_blocks_that_the_whole_selects_and_end_with_its_output) {
    const GatedAttention all = whole();
    const CudaPrefill shape{config, config.scale(), in.q, {}, kernels};
    const std::vector<at::Tensor> lists = piece(PrefillPart::kSelect).forward();
    EXPECT_TRUE(at::equal(shape.to_blocks({.blocks = lists[0], .count = lists[1]}), all.blocks));
    EXPECT_TRUE(at::equal(pieces.back().forward().front(), all.out));
}

TEST_F(KernelPieces, mix_with_the_gates_gradient_of_the_whole) {
    const at::Tensor d_out = at::randn_like(in.q);
    whole().out.backward(d_out);
    pieces.back().forward().front().backward(d_out);
    ASSERT_EQ(pieces.back().leaves.size(), 1);
    EXPECT_TRUE(at::equal(pieces.back().leaves.front().grad(), in.gates.grad()));
}

}  // namespace
}  // namespace nsa::core::bench
