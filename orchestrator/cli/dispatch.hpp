// From an Invocation to its verb.
#pragma once

#include <functional>
#include <memory>

#include "cli/commands.hpp"
#include "cli/paths.hpp"

namespace nsa::cli {

// What the program is made of; tests give fakes.
struct Parts {
    std::function<std::unique_ptr<Backend>(const Paths&)> connect;  // to the daemon at paths.socket
    std::function<bool(const Paths&)> daemon_listens;
    std::function<Result<std::unique_ptr<Backend>>(const Paths&)> become_daemon;  // in this process
    ScanHostKey scan_host_key;
};

int dispatch(const Invocation& invocation, const Paths& paths, const Console& console, const Parts& parts);

}  // namespace nsa::cli
