// An engine yields a byte stream to `nsa-worker serve` on an instance; everything else is the protocol over
// it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <span>
#include <string>

#include "language/ids.hpp"
#include "language/result.hpp"
#include "language/spec.hpp"

namespace nsa::engines {

// How to reach an instance; stored as the user registered it.
struct InstanceConfig {
    InstanceName name;
    language::EngineKind engine = language::EngineKind::kSsh;
    std::string host, user;  // [A-Za-z0-9][A-Za-z0-9._:-]*; never a leading '-'
    int port = 22;
    std::string key_file;     // private key, absolute path on the control host; public-key auth only
    std::string host_key;     // pinned: "ssh-ed25519 AAAA..." ; a connection without a pin is refused
    std::string nsa_core;     // absolute path of nsa-core on the host; empty: built there from its bundle
    std::string worker_home;  // empty: ~/.nsa
    std::string tool_path;    // put before PATH there: "/opt/venv/bin:/usr/local/cuda/bin", where cmake,
                              // python3 and nvcc are
    bool operator==(const InstanceConfig&) const = default;
};

// A byte stream of one connection. All calls on the connection's executor (the daemon's io_context thread).
// At most one read_some and one write in flight. Destruction closes.
class ByteStream {
  public:
    virtual ~ByteStream() = default;
    // At least one byte, or an error (kUnreachable when the peer is gone).
    virtual boost::asio::awaitable<Result<std::size_t>> read_some(std::span<char> into) = 0;
    virtual boost::asio::awaitable<Result<void>> write(std::string bytes) = 0;
    virtual void close() = 0;
    // What the far side wrote on its stderr, bounded to the last 4 KiB: the reason when it died at once.
    virtual std::string last_words() const = 0;
};

class Engine {
  public:
    virtual ~Engine() = default;
    // Connects, makes sure that the worker binary of this build is there (pushes it by hash), starts
    // `nsa-worker serve` and returns its stdio. Errors: kHostKeyRefused, kAuthRefused, kRefused,
    // kUnreachable, kTimeout, kNoSpace. The config is copied.
    virtual boost::asio::awaitable<Result<std::unique_ptr<ByteStream>>> open(InstanceConfig config) = 0;
};

}  // namespace nsa::engines
