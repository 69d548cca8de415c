// What lanes do together: the last one to arrive computes for all. Lanes that end, or wait at something else,
// while others wait for them are a fault.
#pragma once

#include <cstdint>

#include "emulator/machine.hpp"

namespace nsa::emulator {

inline constexpr std::uint32_t kAllLanes = 0xFFFFFFFFU;
// Names of collectives, one object each: they are told apart by address.
inline constexpr char kPreviousKernel[] = "wait_for_previous_kernel";
inline constexpr char kClusterArrive[] = "the arrival at the cluster barrier";
inline constexpr char kClusterAligned[] = "the aligned wait at the cluster barrier";
inline constexpr char kClusterWait[] = "the cluster barrier";
inline constexpr char kGroupSync[] = "group_sync";
inline constexpr char kGroupArrive[] = "group_arrive";

/// True for the lane that arrives last: it computes for all, from their deposits, and calls leave(). The
/// others return false when that is done. `name` is one object for one kind of collective.
[[nodiscard]] bool arrive(const char* name, std::uint32_t mask, void* deposit);
void leave(std::uint32_t mask);

/// What lane `index` of the current warp deposited.
template <class T>
[[nodiscard]] T& deposit_of(int index) {
    return *static_cast<T*>(current->warp->lanes[static_cast<std::size_t>(index)]->deposit);
}

/// The lanes in `mask` meet, and that is all.
void meet(const char* name, std::uint32_t mask);

/// Barrier of all live threads of the block; the sum of what they say.
int block_barrier(const char* name, int says);

void cluster_arrive();
void cluster_wait();
void wait_for_previous_kernel();

/// The current lane ends: whoever waits for it alone goes on, or that is a fault.
void end_lane();

}  // namespace nsa::emulator
