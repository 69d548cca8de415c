// The orchestrator's end of the worker protocol: typed requests, pipelined over one ByteStream.
//
// Any number of requests may be in flight. One reader coroutine hands every frame to the request it answers;
// one writer coroutine sends what was queued, so that small requests of one turn share a write. When the
// stream ends, by close() or by itself, every request in flight fails with kUnreachable and says what the
// peer said last (with kProtocol when the stream ended because the peer broke the framing or its credit).
//
// All calls, and the continuation of every awaitable, on the stream's executor. The awaitables keep what they
// need alive: destroying the client closes the stream, and requests in flight then fail.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engines/engine.hpp"
#include "protocol/messages.hpp"

namespace nsa::engines {

template <class T = void>
using Async = boost::asio::awaitable<Result<T>>;

// The longest wait for the next frame of an answer; kTimeout when it passes. The stream stays usable: a late
// answer is dropped.
using Timeout = std::chrono::milliseconds;

// Where the data of kAttach goes. Calls come one after the other; the credit of a piece goes back to the
// worker once its call has returned, so a slow sink slows the worker and nothing else. An error ends the
// attach with it.
class AttachSink {
  public:
    virtual ~AttachSink() = default;
    // Whole lines of journal.jsonl, in order, each with its newline.
    virtual Async<> on_events(std::string lines) = 0;
    // The views live until the awaitable ends.
    virtual Async<> on_log(protocol::LogPiece piece) = 0;
};

// Where the files of kFetch go: pieces in order, each file from its offset to its end.
class FetchSink {
  public:
    virtual ~FetchSink() = default;
    // The pieces of one frame; the views live until the awaitable ends.
    virtual Async<> on_pieces(std::span<const protocol::FilePiece> pieces) = 0;
};

class WorkerConnection;  // connection.hpp: the part that outlives a client whose requests are in flight

// A file to be put on the host: where, and with which rights.
struct PutTarget {
    std::string path;  // safe relative path below the worker's home
    bool executable = false;
    bool operator==(const PutTarget&) const = default;
};

class WorkerClient {
  public:
    // Takes the stream and starts to read it. The executor is the stream's; where: "instance a100", for
    // messages.
    WorkerClient(boost::asio::any_io_executor executor, std::unique_ptr<ByteStream> stream,
                 std::string where);
    ~WorkerClient();
    WorkerClient(WorkerClient&&) noexcept;
    WorkerClient& operator=(WorkerClient&&) noexcept;

    // First on every stream; kProtocol when the versions differ.
    Async<protocol::HelloReply> hello(std::string client, Timeout timeout);
    // The round trip. A ping that times out is how a dead link is told from a quiet one: close() then.
    Async<std::chrono::microseconds> ping(Timeout timeout);
    Async<protocol::ProbeReply> probe(Timeout timeout);
    // Both ask first whether the file is there with that hash, and send it only when it is not. The timeout
    // counts from the last progress. put_file: kNotFound when the local file cannot be read; kConflict when
    // it changes while it is read.
    Async<protocol::PutReply> put_bytes(PutTarget target, std::string bytes, Timeout timeout);
    Async<protocol::PutReply> put_file(PutTarget target, std::filesystem::path local, Timeout timeout);
    Async<protocol::LaunchReply> launch(protocol::Launch request, Timeout timeout);
    // Follows a run until it is over or the stream ends; so it has no deadline of its own: whoever attaches
    // also pings. The sink must outlive the awaitable.
    Async<protocol::AttachEnd> attach(protocol::Attach request, AttachSink& sink);
    // The sink must outlive the awaitable.
    Async<protocol::FetchEnd> fetch(protocol::Fetch request, FetchSink& sink, Timeout timeout);
    Async<protocol::CancelReply> cancel(protocol::RunKey run, Timeout timeout);
    Async<std::vector<protocol::RunListing>> list_runs(Timeout timeout);

    // Idempotent. Runs on the host are not touched.
    void close();
    bool is_open() const;
    // Why the stream ended; nothing while it is open.
    std::optional<Error> end() const;

  private:
    std::shared_ptr<WorkerConnection> connection_;
};

}  // namespace nsa::engines
