// The oracle's own array: four dimensions of doubles, and conversion from and to tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nsa::core::reference {

/// Row-major [a, b, c, d]. Heads and keys use it as [batch, head, position, component].
class Array {
  public:
    explicit Array(std::array<std::int64_t, 4> shape)
        : shape_(shape), values_(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]), 0.0) {}

    [[nodiscard]] std::int64_t size(int dimension) const {
        return shape_[static_cast<std::size_t>(dimension)];
    }
    [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(values_.size()); }
    [[nodiscard]] double& at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
        return values_[offset(a, b, c, d)];
    }
    [[nodiscard]] double at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
        return values_[offset(a, b, c, d)];
    }
    [[nodiscard]] double* data() { return values_.data(); }
    [[nodiscard]] const double* data() const { return values_.data(); }

  private:
    [[nodiscard]] std::size_t offset(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
        return static_cast<std::size_t>(((a * shape_[1] + b) * shape_[2] + c) * shape_[3] + d);
    }

    std::array<std::int64_t, 4> shape_;
    std::vector<double> values_;
};

/// Any dtype, device and strides; fewer than four dimensions are filled up with ones in front.
[[nodiscard]] Array from_tensor(const at::Tensor& tensor);
[[nodiscard]] at::Tensor to_tensor(const Array& array);

}  // namespace nsa::core::reference
