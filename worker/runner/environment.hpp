// What a step sees of the world. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "posix/spawn.hpp"

namespace nsa::runner {

// Absolute paths of one step.
struct StepPlace {
    std::string run_dir;
    std::string folder;  // its cwd and NSA_ARTIFACTS
};

// The host's PATH, HOME, USER, LOGNAME, LANG, LC_*, TMPDIR, LD_LIBRARY_PATH, CUDA_* and NVIDIA_*; nothing
// else of the worker's own environment reaches a step.
bool is_inherited(std::string_view name);

// Inherited variables, then those of the plan, then NSA_RESULTS, NSA_ARTIFACTS and NSA_RUN_DIR, which no plan
// can change: the worker finds its results, and its processes, by them.
posix::Environment step_environment(const posix::Environment& host,
                                    const std::map<std::string, std::string>& planned,
                                    const StepPlace& place);

// "~" and "~/..." -> below `home`; anything else unchanged.
std::string expand_home(std::string text, const std::string& home);

}  // namespace nsa::runner
