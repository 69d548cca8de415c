// From a layer and its cache to the parameters of the one-kernel step. Knows Torch, not CUDA: the same for a
// launch on a device and for the emulator of the tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "nsa_core/cuda/step/params.hpp"
#include "nsa_core/decode_cache.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core {

/// In 32 bits; a size that does not fit becomes the largest int, which step_unsupported refuses.
[[nodiscard]] cuda::StepShape step_shape(const NsaConfig& config, std::int64_t capacity);

/// The layer's weight of that name.
[[nodiscard]] const at::Tensor& parameter(const NSAAttention& module, std::string_view name);

/// Tensors of a step beside layer and cache, on the layer's device.
struct StepBuffers {
    /// `workspace_bytes` as step_workspace_bytes says. `out`: where results go, [1,dim]; empty: a new buffer.
    StepBuffers(const NSAAttention& module, std::int64_t workspace_bytes, at::Tensor out, bool with_clocks);

    at::Tensor turns;   // [dk/2] rotary frequencies in half turns; undefined without rope
    at::Tensor x;       // [1,dim]
    at::Tensor out;     // [1,dim]
    at::Tensor reads;   // [G,3]
    at::Tensor blocks;  // [G,n]
    at::Tensor clocks;  // [kStepClocks] or undefined
    at::Tensor length;  // [1] tokens in the cache as the kernel sees it
    at::Tensor workspace;
};

/// Throws InputError when the cache is not one of this layer for one sequence: another batch, dtype, device,
/// number of groups or width.
void check_step_cache(const NSAAttention& module, DecodeCache& cache);

/// Borrows everything. The cache has room for the shape's capacity, and stays where it is.
[[nodiscard]] cuda::StepParams step_params(const NSAAttention& module, DecodeCache& cache,
                                           const cuda::StepShape& shape, const StepBuffers& buffers,
                                           bool advance);

/// The rows of one branch; both caches' rows are in the same place exactly when these are equal.
[[nodiscard]] cuda::StepRows step_rows(KeyValueBuffers& buffers);

}  // namespace nsa::core
