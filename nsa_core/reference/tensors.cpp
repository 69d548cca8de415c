#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "nsa_core/errors.hpp"
#include "nsa_core/reference/array.hpp"

namespace nsa::core::reference {

Array from_tensor(const at::Tensor& tensor) {
    if (tensor.dim() > 4) throw InputError("the oracle takes tensors of up to 4 dimensions");
    const at::NoGradGuard no_grad;
    const at::Tensor plain = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
    std::array<std::int64_t, 4> shape{1, 1, 1, 1};
    std::ranges::copy(plain.sizes(), shape.begin() + (4 - plain.dim()));
    Array array{shape};
    std::copy_n(plain.const_data_ptr<double>(), plain.numel(), array.data());
    return array;
}

at::Tensor to_tensor(const Array& array) {
    const at::Tensor tensor =
        at::empty({array.size(0), array.size(1), array.size(2), array.size(3)}, at::kDouble);
    std::copy_n(array.data(), tensor.numel(), tensor.mutable_data_ptr<double>());
    return tensor;
}

}  // namespace nsa::core::reference
