// What `launch` left in the run directory for its supervisor.
#pragma once

#include <map>
#include <string>

#include "language/plan.hpp"

namespace nsa::runner {

struct LaunchFiles {
    language::Plan plan;
    std::map<std::string, std::string> tools;  // name -> absolute path
};

Result<LaunchFiles> read_launch_files(int run_dir);

// argv as it will be executed: argv[0] a tool of the launch, or "~/..." expanded, or a path, or found in
// `path`. kNotFound says where was looked and which tools there are.
Result<std::vector<std::string>> resolve_argv(std::vector<std::string> argv,
                                              const std::map<std::string, std::string>& tools,
                                              const std::string& path, const std::string& home);

}  // namespace nsa::runner
