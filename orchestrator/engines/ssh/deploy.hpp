// How the worker gets onto a host and is started, over one exec channel and nothing but a POSIX shell.
//
// The remote command is one fixed script with only the worker's hash, size and home in it. It prints a marker
// on a line of its own:
//   nsa-worker: ready <hash>   and becomes `nsa-worker serve`: all further bytes are frames
//   nsa-worker: send <hash>    the binary is not there: its bytes are expected on stdin, then "ready" follows
//   nsa-worker: failed <hash>  and why, up to the end
// Whatever the account's shell start-up files print before is skipped up to the marker, so they cannot be
// taken for frames; after the marker only the worker writes.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "engines/engine.hpp"

namespace nsa::engines {

struct WorkerBinary {
    std::string bytes;
    Sha256 sha256;
};
Result<WorkerBinary> read_worker_binary(const std::filesystem::path& path);

// home and path as in InstanceConfig, and plain (engines/plain_path.hpp): they stand in the script. Works
// under any login shell that knows single quotes.
std::string remote_command(const WorkerBinary& worker, const std::string& home, const std::string& path);

struct StartLimits {
    std::chrono::milliseconds answer{15'000};    // for each marker
    std::chrono::milliseconds progress{30'000};  // for each chunk of the push
};

// Drives the script on `stream` until the worker serves. kNoSpace when the host's disk is full, kTimeout,
// kUnreachable, kInternal with the host's own words. The binary must outlive the awaitable.
boost::asio::awaitable<Result<std::unique_ptr<ByteStream>>> start_worker(std::unique_ptr<ByteStream> stream,
                                                                         const WorkerBinary& worker,
                                                                         StartLimits limits,
                                                                         std::string where);

}  // namespace nsa::engines
