// Kernels that measure the device, not the attention: what a launch costs, how fast memory is read.
#pragma once

#include <driver_types.h>

#include <cstddef>

namespace nsa::core::cuda {

/// A kernel that does nothing, one small thread block on every multiprocessor. `dependent`: it may start
/// before the launch ahead of it has ended, as the second kernel of a decode step does.
[[nodiscard]] cudaError_t launch_empty(int blocks, bool dependent, cudaStream_t stream);

/// Reads `bytes` bytes once, 16 at a time, and writes a sum per thread block to `sums` (room for `blocks`).
/// `data` is 16-byte aligned and `bytes` a multiple of 16.
[[nodiscard]] cudaError_t launch_read(const void* data, std::size_t bytes, unsigned* sums, int blocks,
                                      cudaStream_t stream);

/// Keeps the device busy for about so many nanoseconds, so that the host can queue what is to be timed behind
/// it.
[[nodiscard]] cudaError_t launch_spin(unsigned nanoseconds, cudaStream_t stream);

}  // namespace nsa::core::cuda
