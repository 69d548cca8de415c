// The tensor entry points of route cuda and their autograd, with the kernels on the emulator: all that a GPU
// run does except the GPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "emulator/prefill/emulated_kernels.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/gradients.hpp"
#include "nsa_core/parity/guarded_kernels.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/prefill_check.hpp"
#include "nsa_core/reference.hpp"
#include "nsa_core/routes/cuda_compression_autograd.hpp"
#include "nsa_core/routes/cuda_prefill_autograd.hpp"

namespace nsa::core {
namespace {

using parity::PrefillCase;
using parity::PrefillReport;
using parity::StepData;

const PrefillKernels& kernels() {
    return prefill_test::emulated_prefill_kernels();
}

NsaConfig config_of(std::int64_t heads, std::int64_t groups, std::int64_t dk, std::int64_t dv) {
    NsaConfig c;
    c.heads = heads;
    c.groups = groups;
    c.dk = dk;
    c.dv = dv;
    c.n = 4;
    c.w = 40;
    return c;
}

void expect_clean(const PrefillCase& c) {
    const PrefillReport r = parity::check_prefill(c, at::kCPU, parity::prefill_candidate(c, kernels()));
    EXPECT_TRUE(r.clean()) << r.text();
    const std::int64_t rows = c.tokens() * c.config.groups;
    if (c.data == StepData::kNormal) {
        EXPECT_LE(r.selection_ties, 1 + rows / 20) << "a tie is rounding: more than a few are a fault";
    }
}

TEST(EmulatedPrefill, a_batch_equals_the_oracle_forward_and_backward) {
    expect_clean({.config = config_of(8, 2, 32, 32), .lengths = {150, 150}});
}

TEST(EmulatedPrefill, fp16_equals_the_oracle_forward_and_backward) {
    expect_clean({.config = config_of(4, 1, 32, 32), .dtype = DType::kFp16, .lengths = {100}});
}

TEST(EmulatedPrefill, keys_wider_than_values_equal_the_oracle) {
    expect_clean({.config = config_of(2, 2, 192, 128), .lengths = {70}});
}

TEST(EmulatedPrefill, heads_narrower_than_the_kernels_equal_the_oracle) {
    for (const auto& [dk, dv] : {std::pair{16, 16}, {24, 10}, {40, 16}, {136, 120}}) {
        SCOPED_TRACE("dk " + std::to_string(dk) + ", dv " + std::to_string(dv));
        expect_clean({.config = config_of(4, 2, dk, dv), .lengths = {70}});
    }
    expect_clean(
        {.config = config_of(8, 2, 16, 16), .dtype = DType::kFp16, .lengths = {1, 33, 90}, .packed = true});
}

TEST(EmulatedPrefill, packed_sequences_of_many_lengths_equal_the_oracle) {
    expect_clean({.config = config_of(4, 2, 32, 32), .lengths = {1, 31, 130, 32, 65}, .packed = true});
}

PhiWeights random_phi(const NsaConfig& c, std::int64_t width, at::Generator& generator) {
    const auto matrix = [&](std::int64_t rows, std::int64_t fan_in) {
        const at::Tensor drawn = parity::random_normal({rows, fan_in}, generator, at::kDouble);
        return (drawn / std::sqrt(static_cast<double>(fan_in))).to(at::kBFloat16);
    };
    return {.position = matrix(c.l, width),
            .w1 = matrix(c.phi_hidden, c.l * width),
            .b1 = matrix(1, c.phi_hidden)[0],
            .w2 = matrix(width, c.phi_hidden),
            .b2 = matrix(1, width)[0]};
}

void expect_packed_equals_one_by_one(Compressor compressor) {
    PrefillCase c{.config = config_of(4, 2, 32, 32), .lengths = {1, 70, 33}, .packed = true};
    c.config.compressor = compressor;
    c.config.phi_hidden = 8;
    const parity::PrefillProblem p{c};
    at::Generator generator = parity::seeded_generator(7);
    std::optional<PhiPair> phi;
    if (compressor == Compressor::kMlp)
        phi = PhiPair{.k = random_phi(c.config, 32, generator), .v = random_phi(c.config, 32, generator)};
    const auto compressed = [&](const KeysValues& raw, const CudaCall& call) {
        return phi ? cuda_compress_mlp(raw, *phi, call) : cuda_compress_mean(raw, call);
    };
    const auto packed = [](const at::Tensor& x) { return x.squeeze(0).transpose(0, 1); };
    const auto rows = [&](const KeysValues& x) { return KeysValues{.k = packed(x.k), .v = packed(x.v)}; };
    CudaCall call{.config = c.config, .scale = c.config.scale(), .packing = {}, .kernels = &kernels()};
    call.packing = Packing::of(p.cu_tokens, c.longest(), c.tokens(), c.config);
    const at::Tensor out = cuda_packed_attention({.q = packed(p.in.q),
                                                  .raw = rows(p.in.raw),
                                                  .sel = rows(p.in.sel),
                                                  .win = rows(p.in.win),
                                                  .gates = packed(p.in.gates),
                                                  .cu_tokens = p.cu_tokens,
                                                  .longest = c.longest(),
                                                  .phi = phi},
                                                 call);
    call.packing.reset();
    std::int64_t first = 0;
    for (const std::int64_t length : c.lengths) {
        const auto one = [&](const at::Tensor& x) { return x.narrow(2, first, length); };
        const auto both = [&](const KeysValues& x) { return KeysValues{.k = one(x.k), .v = one(x.v)}; };
        const GatedAttention alone = cuda_gated_attention({.q = one(p.in.q),
                                                           .cmp = compressed(both(p.in.raw), call),
                                                           .sel = both(p.in.sel),
                                                           .win = both(p.in.win),
                                                           .gates = one(p.in.gates)},
                                                          {}, call);
        EXPECT_TRUE(at::equal(out.narrow(0, first, length), packed(alone.out))) << length << " tokens";
        first += length;
    }
}

TEST(EmulatedPrefill, packed_attention_equals_its_sequences_one_by_one) {
    for (const Compressor compressor : {Compressor::kMean, Compressor::kMlp}) {
        SCOPED_TRACE(compressor == Compressor::kMlp ? "mlp" : "mean");
        expect_packed_equals_one_by_one(compressor);
    }
}

TEST(EmulatedPrefill, without_autograd_the_results_are_the_same) {
    const PrefillCase c{.config = config_of(4, 2, 32, 32), .lengths = {70, 70}};
    const PrefillReport r =
        parity::check_raw_prefill(c, at::kCPU, parity::raw_prefill_candidate(c, kernels()));
    EXPECT_TRUE(r.clean()) << r.text();
}

TEST(EmulatedPrefill, sequences_without_a_compressed_token_equal_the_oracle) {
    expect_clean({.config = config_of(4, 4, 32, 32), .lengths = {20, 20}});
    expect_clean({.config = config_of(4, 4, 32, 32), .lengths = {20, 3}, .packed = true});
}

TEST(EmulatedPrefill, unusual_values_equal_the_oracle) {
    for (const StepData data : {StepData::kTiny, StepData::kHuge, StepData::kEqualKeys}) {
        SCOPED_TRACE(static_cast<int>(data));
        expect_clean({.config = config_of(4, 2, 32, 32), .lengths = {140}, .data = data});
    }
}

// Kernels of which one writes a number too many: before its first result, or behind its last.
class CarelessKernels : public parity::GuardedKernels {
  public:
    explicit CarelessKernels(std::int64_t at) : GuardedKernels{kernels()}, at_{at} {}
    void combine(const cuda::Combine& p) const override {
        GuardedKernels::combine(p);
        const std::int64_t count = p.shape.tokens * p.shape.heads * p.shape.dv;
        static_cast<std::uint16_t*>(p.out.data)[at_ < 0 ? at_ : count + at_] = 0;
    }

  private:
    std::int64_t at_;
};

TEST(EmulatedPrefill, a_number_written_beside_a_result_is_seen) {
    const PrefillCase c{.config = config_of(4, 2, 32, 32), .lengths = {40}};
    for (const std::int64_t at : {-1, 0, 7}) {
        const CarelessKernels careless{at};
        const PrefillReport fused =
            parity::check_prefill(c, at::kCPU, parity::prefill_candidate(c, careless));
        EXPECT_EQ(fused.canary_hits, 2 * 2) << "two bytes in each of two runs";
        EXPECT_FALSE(fused.clean());
        const PrefillReport raw =
            parity::check_raw_prefill(c, at::kCPU, parity::raw_prefill_candidate(c, careless));
        EXPECT_EQ(raw.canary_hits, 2 * 2);
    }
}

// One branch by itself, without gates.
struct Alone {
    at::Tensor q, k, v, d_out;
};

Alone random_rows(const NsaConfig& c, std::int64_t length) {
    at::Generator generator = parity::seeded_generator(3);
    const auto rows = [&](std::int64_t heads, std::int64_t width) {
        return parity::random_normal({2, heads, length, width}, generator, at::kBFloat16);
    };
    return {.q = rows(c.heads, c.dk),
            .k = rows(c.groups, c.dk),
            .v = rows(c.groups, c.dv),
            .d_out = rows(c.heads, c.dv)};
}

// Both implementations see the same bf16 values: within what the plain one errs, out and gradients.
void expect_gradients(const Alone& in, const parity::Attention& ours, const parity::Attention& plain,
                      const at::Tensor& truth, const reference::Gradients& d) {
    const auto ratio = [](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
        return parity::bound_ratio(a, b, c, DType::kBf16);
    };
    EXPECT_LE(ratio(ours(in.q, in.k, in.v), plain(in.q, in.k, in.v), truth), 1);
    const auto mine = parity::gradients_of(ours, in.q, in.k, in.v, in.d_out);
    const auto usual = parity::gradients_of(plain, in.q, in.k, in.v, in.d_out);
    EXPECT_LE(ratio(mine[0], usual[0], d.q), 1);
    EXPECT_LE(ratio(mine[1], usual[1], d.k), 1);
    EXPECT_LE(ratio(mine[2], usual[2], d.v), 1);
}

CudaCall call_of(const NsaConfig& c) {
    return {.config = c, .scale = c.scale(), .packing = {}, .kernels = &kernels()};
}

void expect_branches_alone_equal_the_oracle(const NsaConfig& c) {
    const CudaCall call = call_of(c);
    const Alone in = random_rows(c, 100);
    const double scale = c.scale();
    {
        SCOPED_TRACE("sliding");
        const at::Tensor mask = parity::sliding_mask(100, c.w, at::kCPU);
        expect_gradients(
            in,
            [&](auto& q, auto& k, auto& v) {
                return cuda_sliding_attention(q, {k, v}, call);
            },
            [&](auto& q, auto& k, auto& v) { return parity::plain_attention(q, k, v, mask, scale); },
            reference::sliding_attention(in.q, in.k, in.v, c.w, scale),
            reference::sliding_gradients(in.q, in.k, in.v, c.w, scale, in.d_out));
    }
    {
        SCOPED_TRACE("selected");
        const at::Tensor blocks = reference::select_blocks(
            reference::block_importance(in.q, reference::compress_mean(in.k, c.l, c.d), c), c);
        const at::Tensor mask = parity::selected_mask(blocks, c);
        expect_gradients(
            in,
            [&](auto& q, auto& k, auto& v) {
                return cuda_selected_attention(q, {k, v}, blocks, call);
            },
            [&](auto& q, auto& k, auto& v) { return parity::plain_attention(q, k, v, mask, scale); },
            reference::selected_attention(in.q, in.k, in.v, blocks, c),
            reference::selected_gradients(in.q, in.k, in.v, blocks, c, in.d_out));
    }
    SCOPED_TRACE("compressed");
    const Alone tokens{.q = in.q,
                       .k = in.k.narrow(2, 0, compressed_count(100, c)),
                       .v = in.v.narrow(2, 0, compressed_count(100, c)),
                       .d_out = in.d_out};
    const at::Tensor mask = parity::compressed_mask(100, c, at::kCPU);
    expect_gradients(
        tokens,
        [&](auto& q, auto& k, auto& v) {
            return cuda_compressed_attention(q, {k, v}, call);
        },
        [&](auto& q, auto& k, auto& v) { return parity::plain_attention(q, k, v, mask, scale); },
        reference::compressed_attention(tokens.q, tokens.k, tokens.v, c),
        reference::compressed_gradients(tokens.q, tokens.k, tokens.v, c, tokens.d_out));
}

TEST(EmulatedBranches, alone_equal_the_oracle_forward_and_backward) {
    expect_branches_alone_equal_the_oracle(config_of(4, 2, 32, 32));
}

TEST(EmulatedBranches, alone_and_narrower_than_the_kernels_equal_the_oracle) {
    expect_branches_alone_equal_the_oracle(config_of(4, 2, 16, 24));
}

TEST(EmulatedBranches, narrow_heads_select_the_blocks_that_the_fused_function_selects) {
    const NsaConfig c = config_of(4, 2, 16, 16);
    const Alone in = random_rows(c, 140);
    const KeysValues rows{.k = in.k, .v = in.v};
    const CudaCall call = call_of(c);
    const KeysValues cmp = cuda_compress_mean(rows, call);
    EXPECT_EQ(cmp.k.size(3), 16);
    const at::Tensor gates = at::ones({2, 4, 140, 3}, in.q.options());
    const GatedAttention fused =
        cuda_gated_attention({.q = in.q, .cmp = cmp, .sel = rows, .win = rows, .gates = gates}, {}, call);
    EXPECT_EQ(fused.out.size(3), 16);
    EXPECT_EQ(fused.win.size(3), 16);
    EXPECT_TRUE(at::equal(cuda_choose_blocks(in.q, cmp, call), fused.blocks));
    EXPECT_TRUE(
        at::equal(cuda_gated_attention({.q = in.q, .cmp = cmp, .sel = rows, .win = rows, .gates = gates},
                                       fused.blocks, call)
                      .out,
                  fused.out));
}

// In any order, twice, ahead of the first block and behind the last: kernels read what a list names, and the
// backward marks it in shared memory.
TEST(EmulatedBranches, blocks_that_the_query_cannot_have_are_left_out) {
    const NsaConfig c = config_of(2, 1, 32, 32);
    const Alone in = random_rows(c, 70);
    const at::Tensor one = at::zeros({2, 1, 70, 1}, at::kLong);
    const auto attend = [&](const at::Tensor& blocks) {
        const at::Tensor q = in.q.detach().requires_grad_(true);
        const at::Tensor k = in.k.detach().requires_grad_(true);
        const at::Tensor out = cuda_selected_attention(q, {k, in.v}, blocks, call_of(c));
        out.backward(in.d_out);
        return std::array{out.detach(), q.grad(), k.grad()};
    };
    const std::array plain = attend(one);
    const std::array strange = attend(at::cat({one - 7, one - 1, one + 1000, one}, 3));
    const std::array twice = attend(at::cat({one + 1000, one - 7, one, one}, 3));
    for (std::size_t i = 0; i < plain.size(); ++i)
        EXPECT_TRUE(at::equal(plain[i], strange[i]) && at::equal(plain[i], twice[i])) << i;
}

TEST(EmulatedBranches, tensors_that_kernels_cannot_read_where_they_lie_are_copied) {
    const NsaConfig c = config_of(2, 1, 32, 32);
    const Alone in = random_rows(c, 33);
    const at::Tensor truth = cuda_sliding_attention(in.q, {in.k, in.v}, call_of(c));
    const auto shifted = [](const at::Tensor& x) {  // by 2 bytes
        const at::Tensor memory = at::empty({x.numel() + 1}, x.options());
        at::Tensor view = memory.narrow(0, 1, x.numel()).view(x.sizes());
        view.copy_(x);
        return view;
    };
    const auto columns = [](const at::Tensor& x) { return x.transpose(2, 3).contiguous().transpose(2, 3); };
    EXPECT_TRUE(
        at::equal(cuda_sliding_attention(shifted(in.q), {shifted(in.k), shifted(in.v)}, call_of(c)), truth));
    EXPECT_TRUE(
        at::equal(cuda_sliding_attention(columns(in.q), {columns(in.k), columns(in.v)}, call_of(c)), truth));
}

TEST(EmulatedBranches, a_second_derivative_is_refused) {
    const NsaConfig c = config_of(2, 1, 32, 32);
    const Alone in = random_rows(c, 8);
    const at::Tensor q = in.q.detach().requires_grad_(true);
    const at::Tensor out = cuda_sliding_attention(q, {in.k, in.v}, call_of(c));
    EXPECT_THROW(out.backward(in.d_out, /*retain_graph=*/true, /*create_graph=*/true), c10::Error);
}

TEST(Packing, counts_the_compressed_tokens_of_each_sequence) {
    const NsaConfig c;
    const at::Tensor ends = at::tensor({0, 0, 31, 63, 111}, at::kInt);
    const Packing packing = Packing::of(ends, 48, 111, c);
    EXPECT_TRUE(at::equal(packing.cu_compressed, at::tensor({0, 0, 0, 1, 3}, at::kInt)));
    EXPECT_GE(packing.compressed, 3);
    EXPECT_THROW((void)Packing::of(ends.to(at::kLong), 48, 111, c), InputError);
    EXPECT_THROW((void)Packing::of(ends, 0, 111, c), InputError);
}

}  // namespace
}  // namespace nsa::core
