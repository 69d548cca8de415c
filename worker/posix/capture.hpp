// Runs a short helper program to its end and takes what it prints. Never longer than its deadline: a driver
// that hangs must not hang us.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "language/result.hpp"
#include "posix/spawn.hpp"

namespace nsa::posix {

struct Captured {
    int exit_code = 0;   // 128 + signal when a signal ended it
    std::string output;  // stdout and stderr, at most kCaptureLimit bytes
};
inline constexpr std::size_t kCaptureLimit = 1U << 20;

// argv[0] is looked up in the environment's PATH unless it has a '/'. Errors: kNotFound (no such program),
// kTimeout (killed at the deadline), others of spawn(). A child that survives SIGKILL is left behind.
Result<Captured> capture(const std::vector<std::string>& argv, const Environment& environment,
                         std::chrono::milliseconds deadline);

// The program's path: `name` itself when it has a '/', else the first executable of that name in `path`.
// kNotFound says where was looked.
Result<std::string> find_program(const std::string& name, const std::string& path);

}  // namespace nsa::posix
