// The disk of a run directory: whether it is full, and a little of it kept back for the last records.
#pragma once

#include <cstdint>

#include "language/result.hpp"

namespace nsa::runner {

// No room for another step: less than 1 MiB or no inode left to this user.
bool is_disk_full(int run_dir);

// Enough for a manifest of 20,000 files.
inline constexpr std::uint64_t kReserveBytes = 4U << 20;

// Takes the reserve as a file of the run directory; kNoSpace when there is no room even for that.
Result<void> take_reserve(int run_dir);
void release_reserve(int run_dir);

}  // namespace nsa::runner
