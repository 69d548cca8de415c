// Starts programs: in a session of their own, with nothing of ours but the descriptors named here.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "language/result.hpp"

namespace nsa::posix {

using Environment = std::map<std::string, std::string>;

struct SpawnRequest {
    std::string program;            // path; relative ones are looked up from `cwd`
    std::vector<std::string> argv;  // argv[0] included
    Environment environment;        // the whole of it
    std::string cwd;                // empty: ours
    int stdout_fd = -1;             // -1: /dev/null; stdin always is
    int stderr_fd = -1;
};

// posix_spawn: own session (so pid = process group), signals at their defaults and unblocked, every other
// descriptor closed. The error of a failed exec arrives here. Costs the same from a large process.
Result<pid_t> spawn(const SpawnRequest& request);

// Ours, as a map.
Environment own_environment();

}  // namespace nsa::posix
