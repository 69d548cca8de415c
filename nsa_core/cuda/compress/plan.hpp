// What the kernels of learnable compression take, and how the gradients of the weights are cut. Pure: a
// function of shape and device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "nsa_core/cuda/compress/params.hpp"
#include "nsa_core/cuda/device_limits.hpp"

namespace nsa::core::cuda {

/// Nothing when the kernels run the shape; else what they take and what does not fit.
[[nodiscard]] std::optional<std::string> compress_unsupported(const PrefillShape& shape, std::int64_t hidden);

/// Rows of hidden numbers: compressed tokens of all sequences, of every group.
[[nodiscard]] constexpr std::int64_t hidden_rows(const PrefillShape& shape) {
    return shape.compressed * shape.groups;
}

struct CompressPlan {
    int splits = 1;  // shares of the rows that the weights' gradients sum over

    bool operator==(const CompressPlan&) const = default;
};

[[nodiscard]] CompressPlan plan_compress_backward(const PrefillShape& shape, int hidden,
                                                  const DeviceLimits& device);

/// Where the parts of a split lie, in floats: dW1, dW2, db1, db2, each as the weights are.
struct PartsLayout {
    std::int64_t w2 = 0;
    std::int64_t b1 = 0;
    std::int64_t b2 = 0;
    std::int64_t all = 0;
};
[[nodiscard]] constexpr PartsLayout parts_layout(int hidden, int block, int width) {
    PartsLayout at;
    at.w2 = std::int64_t{hidden} * block;
    at.b1 = at.w2 + std::int64_t{width} * hidden;
    at.b2 = at.b1 + hidden;
    at.all = at.b2 + width;
    return at;
}

/// Floats of CompressBackward::Side::parts.
[[nodiscard]] std::size_t compress_parts(const PrefillShape& shape, int hidden, int side,
                                         const CompressPlan& plan);

}  // namespace nsa::core::cuda
