#include "nsa_core/src/rope.hpp"

#include <ATen/ATen.h>

#include "nsa_core/routes/masked.hpp"

namespace nsa::core {

at::Tensor with_positions(const at::Tensor& x, std::int64_t first, const NsaConfig& c) {
    if (!c.rope) return x;
    const std::int64_t half = x.size(3) / 2;
    // Angles in fp64: at position 65536 an fp32 angle is off by thousandths.
    const at::TensorOptions exact = at::TensorOptions{x.device()}.dtype(at::kDouble);
    const at::Tensor exponent = at::arange(half, exact).mul(-2.0 / static_cast<double>(x.size(3)));
    const at::Tensor frequency = at::pow(c.rope_base, exponent);
    const at::Tensor angle = at::arange(first, first + x.size(2), exact).unsqueeze(1) * frequency;
    const at::ScalarType type = accumulation_type(x);
    const at::Tensor cosine = angle.cos().to(type);
    const at::Tensor sine = angle.sin().to(type);
    const at::Tensor low = x.narrow(3, 0, half).to(type);
    const at::Tensor high = x.narrow(3, half, half).to(type);
    return at::cat({low * cosine - high * sine, high * cosine + low * sine}, 3).to(x.scalar_type());
}

}  // namespace nsa::core
