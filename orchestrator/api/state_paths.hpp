// Where the daemon's state lives: flag, then environment, then the XDG default. The daemon and its clients
// ask here, so that they meet at one socket. Pure.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "language/result.hpp"

namespace nsa::api {

// Value of an environment variable, "" when it is not set.
using Getenv = std::function<std::string(const char*)>;

struct PathFlags {
    std::string state_dir, socket, artifacts_dir;  // empty: not given
};

struct StatePaths {
    std::filesystem::path state_dir, socket, artifacts_dir;  // absolute
};

// kUsage when no home is known. `artifacts_here`: ./artifacts exists.
Result<StatePaths> state_paths(const PathFlags& flags, const Getenv& getenv, bool artifacts_here,
                               const std::filesystem::path& working_directory);

}  // namespace nsa::api
