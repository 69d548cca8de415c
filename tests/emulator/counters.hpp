// What a launch did, for comparing designs without a GPU.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nsa::emulator {

/// Over all thread blocks of a launch. Instructions are a warp's.
struct Counters {
    std::size_t blocks = 0;
    std::size_t shared_bytes = 0;  // dynamic, of one thread block
    std::uint64_t mma = 0;
    std::uint64_t wgmma = 0;               // of 16 rows
    std::uint64_t ldmatrix = 0;            // of four matrices
    std::uint64_t ldmatrix_conflicts = 0;  // passes over the banks beyond one for each matrix
    std::uint64_t copies = 0;              // cp.async of a thread
    std::uint64_t copied_bytes = 0;
    std::uint64_t shuffles = 0;
    std::uint64_t block_barriers = 0;
    std::uint64_t cluster_barriers = 0;
};

}  // namespace nsa::emulator
