// From an Invocation to its verb.
#pragma once

#include <functional>
#include <memory>

#include "api/state_paths.hpp"
#include "cli/commands.hpp"

namespace nsa::cli {

// What the program is made of; tests give fakes.
struct Parts {
    std::function<std::unique_ptr<Backend>(const api::StatePaths&)> connect;  // to the daemon at paths.socket
    std::function<bool(const api::StatePaths&)> daemon_listens;
    std::function<Result<std::unique_ptr<Backend>>(const api::StatePaths&)> become_daemon;  // in this process
    ScanHostKey scan_host_key;
};

int dispatch(const Invocation& invocation, const api::StatePaths& paths, const Console& console,
             const Parts& parts);

}  // namespace nsa::cli
