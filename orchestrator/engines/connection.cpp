#include "engines/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsa::engines {
namespace asio = boost::asio;
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Frame;
using protocol::FrameType;

constexpr std::size_t kReadSize = 256U << 10;
constexpr std::size_t kOutboxLimit = 1U << 20;  // beyond it, put waits before it queues more

bool from_worker(FrameType type) {
    return static_cast<std::uint16_t>(type) >= static_cast<std::uint16_t>(FrameType::kReply);
}
bool is_last(FrameType type) {
    return type == FrameType::kReply || type == FrameType::kError;
}

// A loop ends by returning; an exception in it is a bug or a lost resource (memory) and ends the stream.
auto ending(std::shared_ptr<WorkerConnection> connection) {
    return [connection](std::exception_ptr thrown) {
        if (!thrown) return;
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& e) {
            connection->finish(fail(ErrorCode::kInternal, e.what(), connection->where()));
        }
    };
}

}  // namespace

WorkerConnection::WorkerConnection(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream,
                                   std::string where)
    : executor_(std::move(executor)),
      stream_(std::move(stream)),
      where_(std::move(where)),
      has_output_(executor_) {}

void WorkerConnection::start() {
    asio::co_spawn(executor_, read_loop(shared_from_this()), ending(shared_from_this()));
    asio::co_spawn(executor_, write_loop(shared_from_this()), ending(shared_from_this()));
}

void WorkerConnection::finish(Error reason) {
    if (end_) return;
    if (reason.where.empty()) reason.where = where_;
    if (const std::string said = stream_->last_words(); !said.empty()) {
        reason.text += "; the far side said last: " + said;
    }
    end_ = std::move(reason);
    stream_->close();
    has_output_.cancel();
    wake_all();
}

Error WorkerConnection::located(Error error) const {
    error.where = error.where.empty() ? where_ : where_ + ": " + error.where;
    return error;
}

asio::awaitable<void> WorkerConnection::read_loop(Self self) {
    std::string buffer(kReadSize, '\0');
    protocol::FrameReader frames;
    while (!self->end_) {
        const std::span<char> into{buffer};
        const Result<std::size_t> got = co_await self->stream_->read_some(into);
        if (!got) {
            self->finish(got.error());
            co_return;
        }
        frames.feed(std::string_view{buffer}.substr(0, *got));
        for (;;) {
            Result<std::optional<Frame>> frame = frames.next();
            if (!frame) {
                self->finish(frame.error());
                co_return;
            }
            if (!*frame) break;
            if (const Result<void> accepted = self->dispatch(std::move(**frame)); !accepted) {
                self->finish(accepted.error());
                co_return;
            }
        }
    }
}

asio::awaitable<void> WorkerConnection::write_loop(Self self) {
    while (!self->end_) {
        if (self->outbox_.empty()) {
            self->has_output_.expires_at(Clock::time_point::max());
            co_await self->has_output_.async_wait(asio::as_tuple(asio::use_awaitable));
            continue;
        }
        std::string bytes = std::exchange(self->outbox_, {});
        const Result<void> sent = co_await self->stream_->write(std::move(bytes));
        if (!sent) self->finish(sent.error());
        self->wake_all();  // whoever waits for room
    }
}

Result<void> WorkerConnection::dispatch(Frame frame) {
    if (!from_worker(frame.type) || frame.request == 0 || frame.request >= next_request_) {
        return fail(ErrorCode::kProtocol,
                    "the worker sent a frame of type " + std::to_string(static_cast<int>(frame.type)) +
                        " for request " + std::to_string(frame.request) + ", which was never asked",
                    where_);
    }
    const auto found = in_flight_.find(frame.request);
    if (found == in_flight_.end()) return {};  // the late answer of a request that timed out or was given up
    Exchange& exchange = *found->second;
    exchange.buffered_ += frame.payload.size();
    // The one frame more is the answer itself, which needs no credit.
    if (exchange.buffered_ > exchange.credit_ + protocol::kMaxPayload) {
        return fail(ErrorCode::kProtocol,
                    "the worker sent " + std::to_string(exchange.buffered_) + " bytes beyond a credit of " +
                        std::to_string(exchange.credit_),
                    where_);
    }
    exchange.frames_.push_back(std::move(frame));
    exchange.wake_.cancel();
    return {};
}

void WorkerConnection::queue(FrameType type, std::uint32_t request, std::string_view payload) {
    if (end_) return;
    const bool idle = outbox_.empty();
    protocol::append_frame(outbox_, type, request, payload);
    if (idle) has_output_.cancel();
}

void WorkerConnection::wake_all() {
    for (auto& [id, exchange] : in_flight_)
        exchange->wake_.cancel();
}

Exchange::Exchange(std::shared_ptr<WorkerConnection> connection, std::uint64_t credit)
    : connection_(std::move(connection)),
      id_(connection_->next_request_++),
      credit_(credit),
      wake_(connection_->executor_) {
    connection_->in_flight_.emplace(id_, this);
}

Exchange::~Exchange() {
    connection_->in_flight_.erase(id_);
    if (is_attach_ && !answered_) send(FrameType::kDetach, "{}");
}

void Exchange::send(FrameType type, std::string_view payload) {
    connection_->queue(type, id_, payload);
}

asio::awaitable<bool> Exchange::wait_until(Clock::time_point deadline) {
    if (Clock::now() >= deadline) co_return false;
    wake_.expires_at(deadline);
    // Ends by the deadline, or by cancel() as a wake-up; the caller looks at what has changed either way.
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return true;
}

Async<Frame> Exchange::next(std::optional<Timeout> timeout) {
    const Clock::time_point deadline = timeout ? Clock::now() + *timeout : Clock::time_point::max();
    while (frames_.empty()) {
        if (connection_->end_) co_return *connection_->end_;
        const bool in_time = co_await wait_until(deadline);
        if (!in_time) co_return timed_out("an answer", *timeout);
    }
    Frame frame = std::move(frames_.front());
    frames_.pop_front();
    buffered_ -= frame.payload.size();
    answered_ = is_last(frame.type);
    if (frame.type == FrameType::kError)
        co_return connection_->located(protocol::decode_error(frame.payload));
    co_return frame;
}

Async<> Exchange::room(Timeout timeout) {
    const Clock::time_point deadline = Clock::now() + timeout;
    while (connection_->outbox_.size() >= kOutboxLimit) {
        if (connection_->end_) co_return *connection_->end_;
        const bool in_time = co_await wait_until(deadline);
        if (!in_time) co_return timed_out("the link to take more data", timeout);
    }
    if (connection_->end_) co_return *connection_->end_;
    co_return Result<void>{};
}

void Exchange::give_back(std::uint64_t bytes) {
    unreturned_ += bytes;
    if (unreturned_ < credit_ / 4) return;
    send(FrameType::kCredit, protocol::encode_credit(unreturned_));
    unreturned_ = 0;
}

Error Exchange::timed_out(std::string_view waiting_for, Timeout timeout) const {
    return fail(ErrorCode::kTimeout,
                "waited " + std::to_string(timeout.count()) + " ms for " + std::string{waiting_for} +
                    " of the worker",
                connection_->where());
}

}  // namespace nsa::engines
