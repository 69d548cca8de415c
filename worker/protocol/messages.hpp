// Messages of protocol version 1. Control messages are JSON objects; data frames are binary, below.
// The worker answers every request with exactly one kReply or kError frame, after any data frames.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "language/event.hpp"
#include "language/ids.hpp"
#include "language/result.hpp"

namespace nsa::protocol {

struct RunKey {
    RunId run;
    Attempt attempt;
    auto operator<=>(const RunKey&) const = default;
};

// kHello -> kReply HelloReply. First on every stream; a version that differs is an error naming both.
struct Hello {
    int protocol = 1;
    std::string client;  // "nsad 0.1.0"
    bool operator==(const Hello&) const = default;
};
struct HelloReply {
    int protocol = 1;
    std::string worker_version;
    std::string hostname, boot_id, home;  // home: the worker's root, absolute: "/root/.nsa"
    std::uint64_t disk_free_bytes = 0, inodes_free = 0;
    bool operator==(const HelloReply&) const = default;
};

// kPing -> kReply {} ; kProbe -> kReply ProbeReply: facts of the host, probed now, each with a deadline.
struct ProbeReply {
    std::map<std::string, std::string>
        facts;  // names in docs/protocol.md: os, kernel, cpu_model, cpu_count, ram_bytes,
                // disk_free_bytes, gpu_count, gpu.0.name, gpu.0.uuid, gpu.0.memory_mib,
                // gpu.0.driver, gpu.0.clock_sm_mhz, cuda_toolkit, torch_version, python, ...
    bool operator==(const ProbeReply&) const = default;
};

// kPut, then kPutData frames (raw bytes, same request id), until `size` bytes are there -> kReply
// {"existed":bool}. Lands atomically (tmp, fsync, rename) at home/path, only when size and hash hold. When
// home/path already has that hash and the client sends no data, the worker answers at once.
struct Put {
    std::string path;  // safe relative path below the worker's home: "src/nsa_core-<hash>/CMakeLists.txt"
    std::uint64_t size = 0;
    Sha256 sha256;
    bool executable = false;
    bool only_check = false;  // answer whether it exists; no data follows
    bool operator==(const Put&) const = default;
};
struct PutReply {
    bool existed = false;
    bool operator==(const PutReply&) const = default;
};

// How long a worker tries to launch before it answers kTimeout; whoever asks waits longer. A supervisor
// starts within milliseconds, more under memory pressure.
inline constexpr std::chrono::seconds kLaunchTime{20};

// kLaunch -> kReply LaunchReply. Idempotent: the run directory is the lock.
struct Launch {
    RunKey run;
    std::string spec_yaml;
    std::string plan_json;                     // language::to_json(Plan)
    std::map<std::string, std::string> tools;  // "nsa-core" -> absolute path on the host
    bool operator==(const Launch&) const = default;
};
struct LaunchReply {
    bool already = false;  // the directory was there: nothing was started
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;
    std::string boot_id;
    bool operator==(const LaunchReply&) const = default;
};

// What the run directory says about its supervisor.
enum class RemoteState { kRunning, kFinished, kSupervisorDead, kHostRebooted, kUnknownRun };
std::string_view to_string(RemoteState state);

// kAttach: the worker sends kEvents (journal from `from_seq`), kLog (from the offsets) as they grow, never
// more unacknowledged data bytes than the credit; ends with kReply AttachEnd once the run is over and
// everything was sent, or the supervisor is found dead. kDetach with the same request id ends it early (state
// kRunning).
struct Attach {
    RunKey run;
    std::uint64_t from_seq = 1;
    std::map<std::string, std::uint64_t> log_offsets;  // "steps/x/stdout" -> first byte wanted; missing: 0
    std::uint64_t credit = 1U << 20;
    bool operator==(const Attach&) const = default;
};
struct AttachEnd {
    RemoteState state = RemoteState::kUnknownRun;
    std::uint64_t last_seq = 0;
    bool operator==(const AttachEnd&) const = default;
};

// kCredit: payload JSON {"bytes":n}; allows n more data bytes of the request with the frame's id (attach,
// fetch).

// kFetch: files of a run directory, packed into kFile frames in the order asked -> kReply FetchEnd.
struct FetchItem {
    std::string path;
    std::uint64_t offset = 0;
    bool operator==(const FetchItem&) const = default;
};
struct Fetch {
    RunKey run;
    std::vector<FetchItem> items;
    std::uint64_t credit = 4U << 20;
    bool operator==(const Fetch&) const = default;
};
struct FetchEnd {
    std::vector<std::string> missing;  // paths that are not there or not regular files
    bool operator==(const FetchEnd&) const = default;
};

// kCancel -> kReply CancelReply: TERM, grace, KILL of the whole group; the answer does not wait for the end.
struct CancelReply {
    RemoteState state = RemoteState::kUnknownRun;
    bool operator==(const CancelReply&) const = default;
};

// kListRuns -> kReply [RunListing]: the runs that are not finished, first those that run.
struct RunListing {
    RunKey run;
    RemoteState state = RemoteState::kUnknownRun;
    std::uint64_t last_seq = 0;
    bool operator==(const RunListing&) const = default;
};

// JSON text of a message and back; decode<T> says which field is missing or of the wrong type.
std::string encode(const Hello&);
std::string encode(const HelloReply&);
std::string encode(const ProbeReply&);
std::string encode(const Put&);
std::string encode(const PutReply&);
std::string encode(const Launch&);
std::string encode(const LaunchReply&);
std::string encode(const Attach&);
std::string encode(const AttachEnd&);
std::string encode(const Fetch&);
std::string encode(const FetchEnd&);
std::string encode(const RunKey&);  // payload of kCancel
std::string encode(const CancelReply&);
std::string encode(const std::vector<RunListing>&);
std::string encode_credit(std::uint64_t bytes);
std::string encode(const Error&);  // payload of kError
template <class Message>
Result<Message> decode(std::string_view json);
Result<std::uint64_t> decode_credit(std::string_view json);
Error decode_error(std::string_view json);  // payload of kError; one that cannot be read is a kProtocol error

// kLog payload: u16 path size, path, u64 offset, bytes.
struct LogPiece {
    std::string_view path;
    std::uint64_t offset = 0;
    std::string_view bytes;
};
std::string encode_log(std::string_view path, std::uint64_t offset, std::string_view bytes);
Result<LogPiece> decode_log(std::string_view payload);

// kFile payload: pieces back to back: u16 path size, path, u64 file size, u64 offset, u32 count, bytes.
// Small files share a frame; a large one takes several, in order.
struct FilePiece {
    std::string_view path;
    std::uint64_t file_size = 0, offset = 0;
    std::string_view bytes;
};
void append_file_piece(std::string& payload, const FilePiece& piece);
Result<std::vector<FilePiece>> decode_files(std::string_view payload);

}  // namespace nsa::protocol
