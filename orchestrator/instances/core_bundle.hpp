// nsa-core on a host that has none: its sources go there by hash and are built there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engines/worker_client.hpp"
#include "language/plan.hpp"

namespace nsa::instances {

struct BundleFile {
    std::string path;  // relative to nsa_core/, '/' between components
    std::filesystem::path local;
    std::uint64_t size = 0;
    Sha256 sha256;
    bool operator==(const BundleFile&) const = default;
};

struct CoreBundle {
    Sha256 hash;                    // over the sorted list of (path, hash): names the folders on the host
    std::vector<BundleFile> files;  // sorted by path
    bool operator==(const CoreBundle&) const = default;
};

// The source files below `nsa_core` (hidden files and folders left out). kNotFound when it holds no
// CMakeLists.txt.
Result<CoreBundle> read_core_bundle(const std::filesystem::path& nsa_core);

// How a bundle becomes a program on a host.
struct CoreBuild {
    std::string source_dir;  // relative to the worker's home: where the files are put
    std::vector<language::SetupCommand>
        setup;         // to stand before the plan's own; each skipped once `tool` exists
    std::string tool;  // absolute path of nsa-core afterwards
    bool operator==(const CoreBuild&) const = default;
};

// home: HelloReply::home. Pure. The tool appears by rename, so a build that was cut short is never taken for
// one.
CoreBuild plan_core_build(const CoreBundle& bundle, const std::string& home);

// Puts the files that the host lacks, several at a time; returns how many were sent. The client and the
// bundle must outlive the awaitable.
engines::Async<std::size_t> push_core_bundle(engines::WorkerClient& client, const CoreBundle& bundle,
                                             engines::Timeout timeout);

}  // namespace nsa::instances
