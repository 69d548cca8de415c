// Where the daemon's state lives: flag, then environment, then the XDG default. Pure.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "cli/invocation.hpp"
#include "language/result.hpp"

namespace nsa::cli {

// Value of an environment variable, "" when it is not set.
using Getenv = std::function<std::string(const char*)>;

struct Paths {
    std::filesystem::path state_dir, socket, artifacts_dir;
};

// kUsage when no home is known. `artifacts_here`: ./artifacts exists.
Result<Paths> resolve_paths(const Invocation& invocation, const Getenv& getenv, bool artifacts_here,
                            const std::filesystem::path& working_directory);

}  // namespace nsa::cli
