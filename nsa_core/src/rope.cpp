#include "nsa_core/src/rope.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nsa_core/routes/masked.hpp"

namespace nsa::core {
namespace {

// Two calls for each half, which widen and round in passing: in a training step of a small model each call
// costs as much as any other, and autograd's own record of these would be four times as many.
at::Tensor turned(const at::Tensor& x, const Rotations& by, double direction) {
    const std::int64_t half = x.size(3) / 2;
    const at::Tensor low = x.narrow(3, 0, half);
    const at::Tensor high = x.narrow(3, half, half);
    at::Tensor out = at::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.options()).transpose(1, 2);
    at::Tensor out_low = out.narrow(3, 0, half);
    at::Tensor out_high = out.narrow(3, half, half);
    at::addcmul_out(out_low, low * by.cosine, high, by.sine, -direction);
    at::addcmul_out(out_high, high * by.cosine, low, by.sine, direction);
    return out;
}

// The gradient of a rotation is the rotation back.
struct Turn : torch::autograd::Function<Turn> {
    static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& x,
                              const at::Tensor& cosine, const at::Tensor& sine, double direction) {
        ctx->save_for_backward({cosine, sine});
        ctx->saved_data["direction"] = direction;
        return turned(x, {.cosine = cosine, .sine = sine}, direction);
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                   torch::autograd::variable_list d_out) {
        const torch::autograd::variable_list saved = ctx->get_saved_variables();
        return {
            Turn::apply(d_out[0], saved[0], saved[1], -ctx->saved_data["direction"].toDouble()), {}, {}, {}};
    }
};

}  // namespace

Rotations rotations(std::int64_t first, std::int64_t rows, const at::Tensor& like, const NsaConfig& c) {
    if (!c.rope) return {};
    // Angles in fp64: at position 65536 an fp32 angle is off by thousandths.
    const at::TensorOptions exact = at::TensorOptions{like.device()}.dtype(at::kDouble);
    const at::Tensor exponent = at::arange(c.dk / 2, exact).mul(-2.0 / static_cast<double>(c.dk));
    const at::Tensor frequency = at::pow(c.rope_base, exponent);
    const at::Tensor angle = at::arange(first, first + rows, exact).unsqueeze(1) * frequency;
    const at::ScalarType type = accumulation_type(like);
    return {.cosine = angle.cos().to(type), .sine = angle.sin().to(type)};
}

at::Tensor rotated(const at::Tensor& x, const Rotations& by) {
    return by.cosine.defined() ? Turn::apply(x, by.cosine, by.sine, 1.0) : x;
}

}  // namespace nsa::core
