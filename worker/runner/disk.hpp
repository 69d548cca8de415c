// The disk of a run directory: whether it is full, and a little of it kept back for the last records.
#pragma once

#include <cstdint>

#include "language/result.hpp"

namespace nsa::runner {

// No room for another step: less than 1 MiB or no inode left to this user.
bool has_no_room(int run_dir);

// Enough for a manifest of 20,000 files.
inline constexpr std::uint64_t kReserveBytes = 4U << 20;

// manifest.json and exit.json, and a folder that must grow for their names.
inline constexpr int kReserveInodes = 4;

// Takes the reserve as files of the run directory, "reserve" with the bytes and empty ones for their inodes;
// kNoSpace when there is no room even for that.
Result<void> take_reserve(int run_dir);
void release_reserve(int run_dir);

}  // namespace nsa::runner
