#include "nsa_core/routes/cuda_compression.hpp"

#include <ATen/ATen.h>

#include <array>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes/prefill_rows.hpp"

namespace nsa::core {
namespace {

// Weights as kernels read them: contiguous, aligned to 16 bytes.
at::Tensor readable_weight(const at::Tensor& weight) {
    const at::Tensor whole = weight.contiguous();
    constexpr std::uintptr_t kAlignment = 16;
    return reinterpret_cast<std::uintptr_t>(whole.const_data_ptr()) % kAlignment == 0 ? whole : whole.clone();
}
PhiWeights readable(const PhiWeights& phi) {
    return {.position = readable_weight(phi.position),
            .w1 = readable_weight(phi.w1),
            .b1 = readable_weight(phi.b1),
            .w2 = readable_weight(phi.w2),
            .b2 = readable_weight(phi.b2)};
}

cuda::Phi weights_of(const PhiWeights& phi) {
    return {.position = phi.position.const_data_ptr(),
            .w1 = phi.w1.const_data_ptr(),
            .b1 = phi.b1.const_data_ptr(),
            .w2 = phi.w2.const_data_ptr(),
            .b2 = phi.b2.const_data_ptr()};
}
cuda::PhiGradients gradients_of(const PhiWeights& phi) {
    return {.position = phi.position.mutable_data_ptr(),
            .w1 = phi.w1.mutable_data_ptr(),
            .b1 = phi.b1.mutable_data_ptr(),
            .w2 = phi.w2.mutable_data_ptr(),
            .b2 = phi.b2.mutable_data_ptr()};
}

template <class Make>
PhiWeights each_like(const PhiWeights& phi, Make make) {
    return {.position = make(phi.position),
            .w1 = make(phi.w1),
            .b1 = make(phi.b1),
            .w2 = make(phi.w2),
            .b2 = make(phi.b2)};
}

}  // namespace

CudaCompression::CudaCompression(const NsaConfig& c, const at::Tensor& like, std::optional<Packing> packing,
                                 const PrefillKernels& kernels)
    : packing_{std::move(packing)},
      batch_{PrefillBatch::of(c, like, packing_)},
      hidden_{static_cast<int>(c.phi_hidden)},
      options_{like.options().requires_grad(false)},
      kernels_{kernels} {
    if (const auto reason = cuda::compress_unsupported(batch_.shape, c.phi_hidden)) throw InputError(*reason);
}

at::Tensor CudaCompression::empty_rows(std::int64_t length, std::int64_t width) const {
    return kernels_.empty({batch_.batch, length, batch_.shape.groups, width}, options_).transpose(1, 2);
}
at::Tensor CudaCompression::empty_hidden() const {
    return kernels_.empty({cuda::hidden_rows(batch_.shape), hidden_}, options_);
}

CudaCompression::Scratch CudaCompression::scratch_of(const cuda::CompressPlan& plan, int side) const {
    const auto floats = static_cast<std::int64_t>(cuda::compress_parts(batch_.shape, hidden_, side, plan));
    return {.d_pre = empty_hidden(),
            .act = empty_hidden(),
            .parts = kernels_.empty({floats}, options_.dtype(at::kFloat))};
}

CudaCompression::Result CudaCompression::forward(const KeysValues& given, const PhiPair& phi) const {
    const Result r{.out = {.k = empty_rows(batch_.compressed, batch_.shape.dk),
                           .v = empty_rows(batch_.compressed, batch_.shape.dv)},
                   .pre = {.k = empty_hidden(), .v = empty_hidden()}};
    if (batch_.compressed == 0) return r;
    const KeysValues rows = readable(given);
    const KeysValues act{.k = empty_hidden(), .v = empty_hidden()};
    const at::Tensor bias = kernels_.empty({cuda::kSides, hidden_}, options_.dtype(at::kFloat));
    const std::array weights{readable(phi.k), readable(phi.v)};
    const auto side = [&](std::size_t i, const at::Tensor& from, const at::Tensor& out, const at::Tensor& pre,
                          const at::Tensor& silu) {
        return cuda::CompressForward::Side{
            .phi = weights_of(weights[i]),
            .rows = rows_of(from),
            .out = result_rows(out),
            .pre = pre.mutable_data_ptr(),
            .act = silu.mutable_data_ptr(),
            .bias = bias[static_cast<std::int64_t>(i)].mutable_data_ptr<float>()};
    };
    kernels_.compress_forward(
        {.shape = batch_.shape,
         .sequences = batch_.sequences,
         .hidden = hidden_,
         .side = {side(0, rows.k, r.out.k, r.pre.k, act.k), side(1, rows.v, r.out.v, r.pre.v, act.v)}});
    return r;
}

CudaCompression::Gradients CudaCompression::backward(const KeysValues& given, const PhiPair& phi,
                                                     const KeysValues& pre,
                                                     const KeysValues& given_d_out) const {
    const auto empty_like = [this](const at::Tensor& x) { return kernels_.empty(x.sizes(), options_); };
    Gradients d{.rows = {.k = empty_rows(batch_.length, batch_.shape.dk),
                         .v = empty_rows(batch_.length, batch_.shape.dv)},
                .phi = {.k = each_like(phi.k, empty_like), .v = each_like(phi.v, empty_like)}};
    if (batch_.compressed == 0) {
        const auto zero = [](const at::Tensor& x) { return at::zeros_like(x); };
        return {.rows = {.k = zero(d.rows.k), .v = zero(d.rows.v)},
                .phi = {.k = each_like(d.phi.k, zero), .v = each_like(d.phi.v, zero)}};
    }
    const KeysValues rows = readable(given);
    const KeysValues d_out = readable(given_d_out);
    const cuda::CompressPlan plan = cuda::plan_compress_backward(batch_.shape, hidden_, kernels_.limits());
    const std::array weights{readable(phi.k), readable(phi.v)};
    const std::array scratch{scratch_of(plan, 0), scratch_of(plan, 1)};
    const auto side = [&](std::size_t i, const at::Tensor& from, const at::Tensor& d_to,
                          const at::Tensor& hidden, const at::Tensor& d_from, const PhiWeights& d_weights) {
        return cuda::CompressBackward::Side{.phi = weights_of(weights[i]),
                                            .rows = rows_of(from),
                                            .d_out = rows_of(d_to),
                                            .pre = hidden.const_data_ptr(),
                                            .d_pre = scratch[i].d_pre.mutable_data_ptr(),
                                            .act = scratch[i].act.mutable_data_ptr(),
                                            .parts = scratch[i].parts.mutable_data_ptr<float>(),
                                            .d_rows = result_rows(d_from),
                                            .d_phi = gradients_of(d_weights)};
    };
    kernels_.compress_backward({.shape = batch_.shape,
                                .sequences = batch_.sequences,
                                .hidden = hidden_,
                                .side = {side(0, rows.k, d_out.k, pre.k, d.rows.k, d.phi.k),
                                         side(1, rows.v, d_out.v, pre.v, d.rows.v, d.phi.v)}},
                               plan);
    return d;
}

}  // namespace nsa::core
