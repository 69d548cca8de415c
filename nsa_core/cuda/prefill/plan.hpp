// What the prefill kernels take, and how the backward of a dense branch is cut. Pure: a function of shape and
// device, never of the lengths inside a batch, so that a captured step stays valid.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "nsa_core/cuda/device_limits.hpp"
#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::core::cuda {

/// Nothing when the kernels of this folder run the shape; else what they take and what does not fit.
[[nodiscard]] std::optional<std::string> prefill_unsupported(const PrefillShape& shape);

/// The part of it that holds for the selection kernels too: widths, heads in a group, sequences. "widths, and
/// these are others", to stand behind what takes them.
[[nodiscard]] std::optional<std::string> heads_unsupported(const PrefillShape& shape);

struct DensePlan {
    int splits = 1;  // shares of the tokens that see a tile of keys, for dK and dV

    bool operator==(const DensePlan&) const = default;
};

[[nodiscard]] DensePlan plan_dense_backward(const PrefillShape& shape, DenseBranch branch,
                                            const DeviceLimits& device);

/// Keys of all sequences, per group.
[[nodiscard]] constexpr std::int64_t key_rows(const PrefillShape& shape, DenseBranch branch) {
    return branch == DenseBranch::kWindow ? shape.tokens : shape.compressed;
}

/// Floats of DenseBackward::partials, which dK and dV pass through when they are in parts.
[[nodiscard]] std::size_t dense_partials(const PrefillShape& shape, DenseBranch branch,
                                         const DensePlan& plan);

}  // namespace nsa::core::cuda
