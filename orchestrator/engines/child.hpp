// Starts a program with its stdio in our hands. posix_spawn, so that a large daemon does not copy its page
// tables.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "language/result.hpp"
#include "system/unique_fd.hpp"

namespace nsa::engines {

struct Child {
    pid_t pid = -1;  // ours to reap
    UniqueFd stdio;  // one end of a socket pair; the other is its stdin and stdout
    UniqueFd err;    // its stderr, to read
};

// In a session of its own (a Ctrl-C at our terminal is not for it), signal dispositions and mask at their
// defaults, no other descriptor of ours open. kNotFound when the program cannot be executed.
Result<Child> spawn_child(const std::filesystem::path& program, const std::vector<std::string>& arguments);

}  // namespace nsa::engines
