// Learnable compression as a differentiable function of tensors on route cuda, with the kernels on the
// emulator.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "emulator/prefill/emulated_kernels.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/compression_check.hpp"
#include "nsa_core/routes/cuda_compression_autograd.hpp"

namespace nsa::core {
namespace {

using parity::CompressionCase;
using parity::CompressionReport;

const PrefillKernels& kernels() {
    return prefill_test::emulated_prefill_kernels();
}

void expect_clean(const CompressionCase& c) {
    const CompressionReport r = parity::check_compression(c, at::kCPU, kernels());
    EXPECT_EQ(r.bound_ratios.size(), 14);
    EXPECT_TRUE(r.clean()) << r.text();
}

TEST(EmulatedCompression, equals_libtorchs_forward_and_in_every_gradient) {
    expect_clean({});
    expect_clean({.dk = 192, .dv = 128, .hidden = 64, .lengths = {45}, .dtype = DType::kFp16});
}

TEST(EmulatedCompression, takes_packed_sequences) {
    expect_clean({.hidden = 72, .lengths = {7, 40, 1, 33, 8}, .packed = true});
}

TEST(EmulatedCompression, takes_widths_that_are_no_whole_pieces) {
    expect_clean({.dk = 10, .dv = 20, .hidden = 10});
    expect_clean({.dk = 16, .dv = 12, .hidden = 8, .lengths = {9, 30}, .packed = true});
}

TEST(EmulatedCompression, gives_zeros_where_no_token_is_compressed) {
    expect_clean({.lengths = {7}});
}

TEST(EmulatedCompression, never_has_the_blocks_in_memory) {
    const CompressionCase c{.hidden = 8, .lengths = {400}};
    const CompressionReport r = parity::check_compression(c, at::kCPU, kernels());
    const std::int64_t blocks = compressed_count(400, c.config()) * c.config().groups;
    EXPECT_GT(r.largest, 0);
    EXPECT_LT(r.largest, blocks * c.l * c.dk);
}

struct Tensors {
    KeysValues rows;
    PhiPair phi;

    explicit Tensors(const NsaConfig& c) {
        at::manual_seed(1);
        const auto random = [](at::IntArrayRef sizes) { return at::randn(sizes, at::kBFloat16); };
        const auto side = [&](std::int64_t width) {
            return PhiWeights{.position = random({c.l, width}),
                              .w1 = random({c.phi_hidden, c.l * width}),
                              .b1 = random({c.phi_hidden}),
                              .w2 = random({width, c.phi_hidden}),
                              .b2 = random({width})};
        };
        rows = {.k = random({1, c.groups, 30, c.dk}), .v = random({1, c.groups, 30, c.dv})};
        phi = {.k = side(c.dk), .v = side(c.dv)};
    }
};

CudaCall call_of(const NsaConfig& c) {
    return {.config = c, .scale = 1, .packing = {}, .kernels = &kernels()};
}

TEST(EmulatedCompression, copies_tensors_that_kernels_cannot_read_where_they_lie) {
    const NsaConfig c = CompressionCase{}.config();
    const Tensors in{c};
    const auto shifted = [](const at::Tensor& x) {  // by 2 bytes
        const at::Tensor memory = at::empty({x.numel() + 1}, x.options());
        at::Tensor view = memory.narrow(0, 1, x.numel()).view(x.sizes());
        view.copy_(x);
        return view;
    };
    PhiPair moved = in.phi;
    for (PhiWeights* side : {&moved.k, &moved.v})
        for (at::Tensor* weight : {&side->position, &side->w1, &side->b1, &side->w2, &side->b2})
            *weight = shifted(*weight);
    const KeysValues out =
        cuda_compress_mlp({.k = shifted(in.rows.k), .v = shifted(in.rows.v)}, moved, call_of(c));
    EXPECT_TRUE(at::equal(out.k, cuda_compress_mlp(in.rows, in.phi, call_of(c)).k));
}

TEST(EmulatedCompression, has_no_second_derivative) {
    const NsaConfig c = CompressionCase{}.config();
    Tensors in{c};
    in.rows.k.requires_grad_(true);
    const KeysValues out = cuda_compress_mlp(in.rows, in.phi, call_of(c));
    EXPECT_THROW(out.k.sum().backward({}, /*retain_graph=*/true, /*create_graph=*/true), c10::Error);
}

}  // namespace
}  // namespace nsa::core
