// nsad's command line and environment, as a Config.
#pragma once

#include <filesystem>
#include <string>

#include "api/state_paths.hpp"
#include "daemon/config.hpp"
#include "language/result.hpp"

namespace nsa::daemon {

// What the process was started with, as arguments, so that tests need no process.
struct Surroundings {
    api::Getenv getenv;
    std::filesystem::path working_directory;
    std::filesystem::path program;  // of this process
    bool artifacts_here = false;    // ./artifacts exists
};

struct Options {
    Config config;
    std::filesystem::path copy_to;  // not empty: copy the database there and leave, beside a running daemon
    bool help_or_version = false;   // printed already: leave with 0
};

// kUsage says which flag is wrong. Without --foreground the log goes to the file only.
Result<Options> read_options(int argc, const char* const* argv, const Surroundings& surroundings);

}  // namespace nsa::daemon
