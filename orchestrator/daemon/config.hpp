// What a daemon is started with. Values; flags and environment become one in options.hpp, nsactl makes its
// own.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "language/result.hpp"

namespace nsa::daemon {

struct Config {
    std::filesystem::path state_dir;      // nsa.db, nsad.lock, nsad.log; made with mode 0700 when missing
    std::filesystem::path artifacts_dir;  // made when missing
    std::optional<std::filesystem::path> socket;  // none: no API is served, the service is used in-process
    std::filesystem::path worker;                 // the nsa-worker program of this build
    std::filesystem::path nsa_core;         // the nsa-core program for this machine; empty: none was built
    std::filesystem::path nsa_core_source;  // folder nsa_core/, built on hosts that have none; empty: none
    std::chrono::milliseconds backup_every{std::chrono::minutes{5}};  // when something changed
    // When a report that a full disk refused is rendered again.
    std::chrono::milliseconds reports_again{std::chrono::seconds{30}};
    std::uint64_t reserve_bytes = std::uint64_t{64} << 20;  // kept for a full disk; 0: none
    // Called once when the store takes no more writes for good. Whoever set it ends this daemon and opens
    // another, which checks the file. Empty: every write is refused from then on.
    std::function<void(const Error&)> on_store_failure;
    bool log_to_stderr = false;  // besides nsad.log
    // False: other instances than this machine are connected when a run needs them, not at once.
    bool connect_all = true;
};

// The programs and sources that a build keeps beside `program` (bin/nsad, bin/nsactl): bin/nsa-worker,
// bin/nsa-core; and the folder nsa_core/ of the installation (../share/nsa/nsa_core) or of the checkout that
// was built. Missing ones stay empty.
struct Siblings {
    std::filesystem::path worker, nsa_core, nsa_core_source;
};
Siblings find_siblings(const std::filesystem::path& program);
std::filesystem::path this_program();  // of /proc/self/exe

}  // namespace nsa::daemon
