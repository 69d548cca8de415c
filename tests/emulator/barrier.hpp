// A barrier in shared memory (mbarrier): phases that a fixed number of arrivals complete.
#pragma once

#include <bit>
#include <cstdint>

#include "emulator/collectives.hpp"
#include "emulator/error.hpp"

namespace nsa::emulator {

struct BarrierState {
    std::uint16_t count;
    std::uint16_t missing;  // arrivals of this phase
    std::uint32_t phase;
};

inline void barrier_init(std::uint64_t* barrier, int count) {
    (void)address_of(barrier);
    if (count < 1 || count > 0xFFFF) fail("a barrier of " + std::to_string(count) + " arrivals");
    const auto arrivals = static_cast<std::uint16_t>(count);
    *barrier = std::bit_cast<std::uint64_t>(BarrierState{arrivals, arrivals, 0});
}

inline void barrier_arrive(std::uint64_t* barrier) {
    current->copies.publish();
    may_take_off();
    auto state = std::bit_cast<BarrierState>(*barrier);
    if (state.missing == 0 || state.missing > state.count) fail("arrival at a barrier that was not made");
    if (--state.missing == 0) {
        ++state.phase;
        state.missing = state.count;
    }
    *barrier = std::bit_cast<std::uint64_t>(state);
}

/// Until the phase of this parity is over: until a phase of the other one runs.
inline void barrier_wait(const std::uint64_t* barrier, unsigned parity) {
    while (std::bit_cast<BarrierState>(*barrier).phase % 2 == parity % 2)
        spin();
}

}  // namespace nsa::emulator
