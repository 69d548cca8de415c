// Facts of this host, probed now and never typed by anybody. Blocking; every command has a deadline.
#pragma once

#include <chrono>
#include <string>

#include "posix/spawn.hpp"
#include "probe/parse.hpp"

namespace nsa::probe {

struct ProbeOptions {
    std::string disk;                // the path whose file system disk_free_bytes is about
    posix::Environment environment;  // of the commands: PATH, HOME
    std::chrono::milliseconds gpu_deadline{10'000};
    std::chrono::milliseconds command_deadline{5'000};
};

Facts probe_host(const ProbeOptions& options);

// A JSON object of the facts, sorted by name.
std::string to_json(const Facts& facts);
Result<Facts> facts_from_json(std::string_view text);

}  // namespace nsa::probe
