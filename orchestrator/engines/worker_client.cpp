#include "engines/worker_client.hpp"

#include <fstream>

#include "engines/connection.hpp"
#include "language/hash.hpp"

namespace nsa::engines {
namespace {

using protocol::Frame;
using protocol::FrameType;
using Connection = std::shared_ptr<WorkerConnection>;

Error unexpected(const Frame& frame, const WorkerConnection& connection) {
    return fail(ErrorCode::kProtocol,
                "the worker answered with a frame of type " + std::to_string(static_cast<int>(frame.type)),
                connection.where());
}

template <class Reply>
Result<Reply> reply_in(const Frame& frame, const WorkerConnection& connection) {
    if (frame.type != FrameType::kReply) return unexpected(frame, connection);
    Result<Reply> reply = protocol::decode<Reply>(frame.payload);
    if (!reply) return connection.located(reply.error());
    return reply;
}

// A request that is one frame with one reply.
template <class Reply>
Async<Reply> ask(Connection connection, FrameType type, std::string payload, Timeout timeout) {
    Exchange exchange{connection};
    exchange.send(type, payload);
    const Result<Frame> frame = co_await exchange.next(timeout);
    if (!frame) co_return frame.error();
    co_return reply_in<Reply>(*frame, *connection);
}

Async<protocol::HelloReply> say_hello(Connection connection, std::string client, Timeout timeout) {
    protocol::Hello hello;
    hello.protocol = protocol::kProtocolVersion;
    hello.client = std::move(client);
    Result<protocol::HelloReply> reply =
        co_await ask<protocol::HelloReply>(connection, FrameType::kHello, protocol::encode(hello), timeout);
    if (reply && reply->protocol != protocol::kProtocolVersion) {
        co_return fail(ErrorCode::kProtocol,
                       "the worker speaks protocol version " + std::to_string(reply->protocol) +
                           ", this side version " + std::to_string(protocol::kProtocolVersion),
                       connection->where());
    }
    co_return reply;
}

Async<std::chrono::microseconds> time_ping(Connection connection, Timeout timeout) {
    const auto begin = std::chrono::steady_clock::now();
    Exchange exchange{connection};
    exchange.send(FrameType::kPing, "{}");
    const Result<Frame> frame = co_await exchange.next(timeout);
    if (!frame) co_return frame.error();
    if (frame->type != FrameType::kReply) co_return unexpected(*frame, *connection);
    co_return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
}

// Where put takes its bytes from; chunks in order.
class Source {
  public:
    virtual ~Source() = default;
    virtual Result<std::string> next_chunk(std::size_t at_most) = 0;
};

class BytesSource : public Source {
  public:
    explicit BytesSource(std::string bytes) : bytes_(std::move(bytes)) {}
    Result<std::string> next_chunk(std::size_t at_most) override {
        std::string chunk = bytes_.substr(at_, at_most);
        at_ += chunk.size();
        return chunk;
    }

  private:
    std::string bytes_;
    std::size_t at_ = 0;
};

class FileSource : public Source {
  public:
    explicit FileSource(std::filesystem::path path) : path_(std::move(path)), in_(path_, std::ios::binary) {}
    Result<std::string> next_chunk(std::size_t at_most) override {
        std::string chunk(at_most, '\0');
        in_.read(chunk.data(), static_cast<std::streamsize>(at_most));
        chunk.resize(static_cast<std::size_t>(in_.gcount()));
        if (!in_ && !in_.eof()) return fail(ErrorCode::kNotFound, "the file cannot be read", path_.string());
        return chunk;
    }

  private:
    std::filesystem::path path_;
    std::ifstream in_;
};

// Size and hash of a file; they must hold when it is read again for sending, and the worker checks them.
Result<protocol::Put> describe_file(const PutTarget& target, const std::filesystem::path& local) {
    protocol::Put put;
    put.path = target.path;
    put.executable = target.executable;
    FileSource file{local};
    Sha256Hasher hasher;
    for (;;) {
        const Result<std::string> chunk = file.next_chunk(protocol::kDataChunk);
        if (!chunk) return chunk.error();
        if (chunk->empty()) break;
        hasher.update(*chunk);
        put.size += chunk->size();
    }
    put.sha256 = hasher.finish();
    return put;
}

Async<protocol::PutReply> send_put(Connection connection, protocol::Put put, std::unique_ptr<Source> source,
                                   Timeout timeout) {
    put.only_check = true;
    const Result<protocol::PutReply> there =
        co_await ask<protocol::PutReply>(connection, FrameType::kPut, protocol::encode(put), timeout);
    if (!there || there->existed) co_return there;

    put.only_check = false;
    Exchange exchange{connection};
    exchange.send(FrameType::kPut, protocol::encode(put));
    for (std::uint64_t sent = 0; sent < put.size;) {
        const Result<void> room = co_await exchange.room(timeout);
        if (!room) co_return room.error();
        if (exchange.has_answer()) break;  // the worker gave up: its disk is full
        const std::uint64_t rest = put.size - sent;
        const Result<std::string> chunk =
            source->next_chunk(std::min<std::uint64_t>(rest, protocol::kDataChunk));
        if (!chunk || chunk->empty()) {
            co_return connection->located(
                fail(ErrorCode::kConflict, "the file became shorter while it was sent", put.path));
        }
        exchange.send(FrameType::kPutData, *chunk);
        sent += chunk->size();
    }
    const Result<Frame> frame = co_await exchange.next(timeout);
    if (!frame) co_return frame.error();
    co_return reply_in<protocol::PutReply>(*frame, *connection);
}

Async<protocol::PutReply> send_file(Connection connection, PutTarget target, std::filesystem::path local,
                                    Timeout timeout) {
    Result<protocol::Put> put = describe_file(target, local);
    if (!put) co_return put.error();
    std::unique_ptr<Source> source = std::make_unique<FileSource>(local);
    co_return co_await send_put(connection, *put, std::move(source), timeout);
}

// The sink's part of one data frame of an attach.
Async<> deliver(Frame& frame, AttachSink& sink, const WorkerConnection& connection) {
    if (frame.type == FrameType::kEvents) co_return co_await sink.on_events(std::move(frame.payload));
    if (frame.type != FrameType::kLog) co_return unexpected(frame, connection);
    const Result<protocol::LogPiece> piece = protocol::decode_log(frame.payload);
    if (!piece) co_return connection.located(piece.error());
    co_return co_await sink.on_log(*piece);
}

Async<protocol::AttachEnd> follow(Connection connection, protocol::Attach request, AttachSink& sink) {
    Exchange exchange{connection, request.credit};
    exchange.mark_attach();
    exchange.send(FrameType::kAttach, protocol::encode(request));
    for (;;) {
        Result<Frame> frame = co_await exchange.next(std::nullopt);
        if (!frame) co_return frame.error();
        if (exchange.answered()) co_return reply_in<protocol::AttachEnd>(*frame, *connection);
        const std::uint64_t bytes = frame->payload.size();
        const Result<void> taken = co_await deliver(*frame, sink, *connection);
        if (!taken) co_return taken.error();
        exchange.give_back(bytes);
    }
}

Async<protocol::FetchEnd> collect(Connection connection, protocol::Fetch request, FetchSink& sink,
                                  Timeout timeout) {
    Exchange exchange{connection, request.credit};
    exchange.send(FrameType::kFetch, protocol::encode(request));
    for (;;) {
        const Result<Frame> frame = co_await exchange.next(timeout);
        if (!frame) co_return frame.error();
        if (exchange.answered()) co_return reply_in<protocol::FetchEnd>(*frame, *connection);
        if (frame->type != FrameType::kFile) co_return unexpected(*frame, *connection);
        const Result<std::vector<protocol::FilePiece>> pieces = protocol::decode_files(frame->payload);
        if (!pieces) co_return connection->located(pieces.error());
        const std::span<const protocol::FilePiece> view{*pieces};
        const Result<void> taken = co_await sink.on_pieces(view);
        if (!taken) co_return taken.error();
        exchange.give_back(frame->payload.size());
    }
}

}  // namespace

WorkerClient::WorkerClient(boost::asio::any_io_executor executor, std::unique_ptr<ByteStream> stream,
                           std::string where)
    : connection_(
          std::make_shared<WorkerConnection>(std::move(executor), std::move(stream), std::move(where))) {
    connection_->start();
}

WorkerClient::~WorkerClient() {
    if (connection_) close();
}
WorkerClient::WorkerClient(WorkerClient&&) noexcept = default;
WorkerClient& WorkerClient::operator=(WorkerClient&& other) noexcept {
    if (connection_ && connection_ != other.connection_) close();
    connection_ = std::move(other.connection_);
    return *this;
}

Async<protocol::HelloReply> WorkerClient::hello(std::string client, Timeout timeout) {
    return say_hello(connection_, std::move(client), timeout);
}
Async<std::chrono::microseconds> WorkerClient::ping(Timeout timeout) {
    return time_ping(connection_, timeout);
}
Async<protocol::ProbeReply> WorkerClient::probe(Timeout timeout) {
    return ask<protocol::ProbeReply>(connection_, FrameType::kProbe, "{}", timeout);
}
Async<protocol::PutReply> WorkerClient::put_bytes(PutTarget target, std::string bytes, Timeout timeout) {
    protocol::Put put;
    put.path = std::move(target.path);
    put.executable = target.executable;
    put.size = bytes.size();
    put.sha256 = sha256_of(bytes);
    return send_put(connection_, std::move(put), std::make_unique<BytesSource>(std::move(bytes)), timeout);
}
Async<protocol::PutReply> WorkerClient::put_file(PutTarget target, std::filesystem::path local,
                                                 Timeout timeout) {
    return send_file(connection_, std::move(target), std::move(local), timeout);
}
Async<protocol::LaunchReply> WorkerClient::launch(protocol::Launch request, Timeout timeout) {
    return ask<protocol::LaunchReply>(connection_, FrameType::kLaunch, protocol::encode(request), timeout);
}
Async<protocol::AttachEnd> WorkerClient::attach(protocol::Attach request, AttachSink& sink) {
    return follow(connection_, std::move(request), sink);
}
Async<protocol::FetchEnd> WorkerClient::fetch(protocol::Fetch request, FetchSink& sink, Timeout timeout) {
    return collect(connection_, std::move(request), sink, timeout);
}
Async<protocol::CancelReply> WorkerClient::cancel(protocol::RunKey run, Timeout timeout) {
    return ask<protocol::CancelReply>(connection_, FrameType::kCancel, protocol::encode(run), timeout);
}
Async<std::vector<protocol::RunListing>> WorkerClient::list_runs(Timeout timeout) {
    return ask<std::vector<protocol::RunListing>>(connection_, FrameType::kListRuns, "{}", timeout);
}

void WorkerClient::close() {
    connection_->finish(fail(ErrorCode::kUnreachable, "the connection was closed on this side"));
}
bool WorkerClient::is_open() const {
    return !connection_->end();
}
std::optional<Error> WorkerClient::end() const {
    return connection_->end();
}

}  // namespace nsa::engines
