// Waiting for things outside the process, by events and never by sleeping.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>

namespace nsa::test {

// True once the file exists and is not empty (inotify on its folder, which must exist); false at the limit.
bool wait_for_file(const std::filesystem::path& path, std::chrono::milliseconds limit);

// True once the process has ended or never was (pidfd; it need not be our child); false at the limit.
bool wait_for_end(pid_t pid, std::chrono::milliseconds limit);

}  // namespace nsa::test
