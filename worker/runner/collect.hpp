// The manifest: which files of a run come home, with their hashes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "language/event.hpp"

namespace nsa::runner {

struct CollectLimits {
    std::size_t files = 20'000;
    std::uint64_t bytes = 1ULL << 30;
};

// A step that ran: its folder relative to the run directory, and the globs of its artifacts.
struct StepFiles {
    std::string folder;  // "steps/parity"
    std::vector<std::string> globs;
};

struct Collected {
    language::Manifest manifest;  // logs and results of every step first, then artifacts by path
    std::uint64_t bytes = 0;
    std::vector<std::string> left_out;  // "steps/x/y: why", at most 20
    std::size_t left_out_count = 0;
};

// Regular files with one name each; symbolic and hard links, devices, FIFOs and names that cannot travel are
// left out and named, and so is what goes over the limits. Reads every file once.
Collected collect(int run_dir, const std::vector<StepFiles>& steps, const CollectLimits& limits);

}  // namespace nsa::runner
