#include "nsa_core/routes/cuda_compression_autograd.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "nsa_core/routes/cuda_compression.hpp"
#include "nsa_core/routes/prefill_shape.hpp"
#include "nsa_core/routes/saved_call.hpp"

namespace nsa::core {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The arguments of the function in their order, from and to a list.
variable_list listed(const KeysValues& rows, const PhiPair& phi) {
    variable_list all{rows.k, rows.v};
    for (const PhiWeights* side : {&phi.k, &phi.v})
        all.insert(all.end(), {side->position, side->w1, side->b1, side->w2, side->b2});
    return all;
}
KeysValues rows_in(at::TensorList all) {
    return {.k = all[0], .v = all[1]};
}
PhiPair phi_in(at::TensorList all) {
    const auto side = [all](std::size_t i) {
        return PhiWeights{
            .position = all[i], .w1 = all[i + 1], .b1 = all[i + 2], .w2 = all[i + 3], .b2 = all[i + 4]};
    };
    return {.k = side(2), .v = side(7)};
}

CudaCompression kernels_for(const CudaCall& call, const at::Tensor& like) {
    return {call.config, like, call.packing, *call.kernels};
}

struct CompressMlp : torch::autograd::Function<CompressMlp> {
    static variable_list forward(AutogradContext* ctx, at::TensorList all, const CudaCall& call) {
        save_call(ctx, call);
        const CudaCompression::Result r = kernels_for(call, all[0]).forward(rows_in(all), phi_in(all));
        variable_list saved = all.vec();
        saved.insert(saved.end(), {r.pre.k, r.pre.v});
        ctx->save_for_backward(saved);
        return {r.out.k, r.out.v};
    }
    static variable_list backward(AutogradContext* ctx, variable_list d_out) {
        const variable_list saved = ctx->get_saved_variables();
        const KeysValues pre{.k = saved[saved.size() - 2], .v = saved[saved.size() - 1]};
        const CudaCompression::Gradients d =
            kernels_for(saved_call(ctx), saved[0])
                .backward(rows_in(saved), phi_in(saved), pre, {.k = d_out[0], .v = d_out[1]});
        variable_list gradients = listed(d.rows, d.phi);
        gradients.emplace_back();  // of the call
        return gradients;
    }
};

// Zeros behind the columns of every row.
at::Tensor padded(const at::Tensor& x, std::int64_t width) {
    return x.size(-1) == width ? x : at::constant_pad_nd(x, {0, width - x.size(-1)});
}
at::Tensor padded(const at::Tensor& x, std::int64_t rows, std::int64_t width) {
    if (x.size(-1) == width && x.size(-2) == rows) return x;
    return at::constant_pad_nd(x, {0, width - x.size(-1), 0, rows - x.size(-2)});
}
PhiWeights padded_phi(const PhiWeights& phi, std::int64_t width, std::int64_t hidden) {
    const std::int64_t l = phi.position.size(0);
    const at::Tensor w1 = padded(phi.w1.unflatten(1, {l, phi.position.size(1)}), width).flatten(1, 2);
    return {.position = padded(phi.position, width),
            .w1 = padded(w1, hidden, w1.size(1)),
            .b1 = padded(phi.b1, hidden),
            .w2 = padded(phi.w2, width, hidden),
            .b2 = padded(phi.b2, width)};
}

}  // namespace

KeysValues cuda_compress_mlp(const KeysValues& rows, const PhiPair& phi, const CudaCall& narrow) {
    CudaCall call = narrow;
    call.config = with_whole_pieces(call.config);
    const NsaConfig& c = call.config;
    const variable_list all =
        listed({.k = padded(rows.k, c.dk), .v = padded(rows.v, c.dv)},
               {.k = padded_phi(phi.k, c.dk, c.phi_hidden), .v = padded_phi(phi.v, c.dv, c.phi_hidden)});
    const variable_list out = CompressMlp::apply(at::TensorList{all}, call);
    return {.k = out[0].narrow(3, 0, narrow.config.dk), .v = out[1].narrow(3, 0, narrow.config.dv)};
}

}  // namespace nsa::core
