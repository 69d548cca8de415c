// What tests of kernels ask of the emulator, on a device: launches have happened, waiting for them is left.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "emulator/global_memory.hpp"

namespace nsa::emulator {

struct Device {
    static inline int multiprocessors = 0;  // a wish that a device does not hear
};
struct Counters {
    std::uint64_t mma = 0;
    std::uint64_t wgmma = 0;
    std::uint64_t ldmatrix_conflicts = 0;
};
struct Finished {
    std::string kernel;
    Counters counters;
};

/// Throws what the launches since the last call failed with. A device draws its own schedule and counts
/// nothing.
inline std::vector<Finished> finish(std::uint64_t /*seed*/ = 0) {
    expect_success(cudaDeviceSynchronize(), "a kernel");
    return {};
}

}  // namespace nsa::emulator
