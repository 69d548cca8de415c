// What stands behind a Control: a daemon's socket, or a daemon in this process.
#pragma once

#include <filesystem>
#include <memory>

#include "api/state_paths.hpp"
#include "cli/commands.hpp"

namespace nsa::cli {

std::unique_ptr<Backend> connect_to_daemon(const std::filesystem::path& socket);
bool daemon_listens(const std::filesystem::path& socket);

// kConflict when another process has the state folder.
Result<std::unique_ptr<Backend>> become_daemon(const api::StatePaths& paths);

// Asks the host, without authenticating; runs a loop of its own.
Result<std::string> scan_host_key(const std::string& host, int port);

}  // namespace nsa::cli
