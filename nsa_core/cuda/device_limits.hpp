// What planning must know of a device, and how much shared memory its thread blocks have. No Torch, no CUDA.
#pragma once

#include <algorithm>

namespace nsa::core::cuda {

/// Bytes of shared memory that a thread block may have on a chip of this compute capability, 10 * major +
/// minor (CUDA C++ programming guide, technical specifications). Of an unknown newer one the least of all: a
/// plan for too little runs, a plan for too much does not. Below 8.0, where no kernel here runs, nothing.
[[nodiscard]] constexpr int shared_memory_limit(int sm) {
    constexpr int kKiB = 1024;
    if (sm < 80) return 0;
    if (sm == 80 || sm == 87) return 163 * kKiB;
    const int major = sm / 10;
    return major >= 9 && major <= 11 ? 227 * kKiB : 99 * kKiB;  // 8.6, 8.9 and all of 12.x have the least
}

struct DeviceLimits {
    int sm = 0;  // compute capability of the code in use: 80 for what was built as compute_80 PTX
    int multiprocessors = 0;
    int shared_bytes = 0;  // that plans may give a thread block
};

/// `code_sm`: what the code that the driver chose was compiled for. Shared memory is that of the chip it was
/// written for, so that the A100's path is planned alike on a newer chip, but never more than the device has
/// (`device_shared_bytes`): code for 8.0 runs on 8.6 too.
[[nodiscard]] constexpr DeviceLimits limits_of(int device_sm, int code_sm, int multiprocessors,
                                               int device_shared_bytes) {
    const int sm = std::min(device_sm, code_sm);
    return {.sm = sm,
            .multiprocessors = multiprocessors,
            .shared_bytes = std::min(shared_memory_limit(sm), device_shared_bytes)};
}

}  // namespace nsa::core::cuda
