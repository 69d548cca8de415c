#include "engine_ssh/channel_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <optional>

#include "engines/last_words.hpp"

namespace nsa::engines {
namespace asio = boost::asio;
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kInboundLimit = 1U << 20;  // beyond it the peer waits, by SSH's own window
constexpr std::size_t kReadSize = 64U << 10;
constexpr std::chrono::milliseconds kStatusWait{1000};  // from the end of stdout to the exit status

// One pump coroutine makes all calls to libssh; readers and writers only touch the buffers. Any call may take
// anybody's packets off the socket, so separate waiters on the socket would lose wake-ups.
class Pump : public std::enable_shared_from_this<Pump> {
  public:
    explicit Pump(std::shared_ptr<Session> session)
        : session_(std::move(session)), readable_(session_->executor()), writable_(session_->executor()) {}

    void start() { asio::co_spawn(session_->executor(), run(shared_from_this()), asio::detached); }
    // Both keep the pump: its stream may be gone before they resume.
    static asio::awaitable<Result<std::size_t>> read_some(std::shared_ptr<Pump> self, std::span<char> into);
    static asio::awaitable<Result<void>> write(std::shared_ptr<Pump> self, std::string bytes);
    void close();
    std::string last_words() const { return words_.text(); }

  private:
    static asio::awaitable<void> run(std::shared_ptr<Pump> self);
    void move_all();
    bool pass();
    bool send();
    bool receive();
    bool receive_stderr();
    void look_for_end();
    void end_with(Error reason);
    std::size_t held() const { return inbound_.size() - taken_; }

    std::shared_ptr<Session> session_;
    std::string scratch_ = std::string(kReadSize, '\0');
    std::string inbound_, outgoing_;
    std::size_t taken_ = 0, sent_ = 0;  // of inbound_, of outgoing_
    LastWords words_;
    std::optional<Error> end_, write_failed_;
    Clock::time_point wait_limit_ = Clock::time_point::max();
    asio::steady_timer readable_, writable_;  // cancelled when there is something to see
};

asio::awaitable<void> Pump::run(std::shared_ptr<Pump> self) {
    while (!self->end_) {
        self->move_all();
        self->look_for_end();
        if (self->end_) break;
        const bool wants_input = self->held() < kInboundLimit || !self->outgoing_.empty();
        co_await self->session_->wait(wants_input, self->wait_limit_);
    }
}

// Until a pass takes nothing off the socket and moves nothing: only then is waiting for the socket safe.
void Pump::move_all() {
    for (;;) {
        const std::uint64_t before = session_->received();
        const bool moved = pass();
        if (end_ || (!moved && session_->received() == before)) return;
    }
}

bool Pump::pass() {
    if ((ssh_get_poll_flags(session_->handle()) & SSH_WRITE_PENDING) != 0) {
        ssh_blocking_flush(session_->handle(), 0);  // 0: it does not block
    }
    bool moved = !outgoing_.empty() && send();
    if (!end_ && held() < kInboundLimit) moved = receive() || moved;
    if (!end_) moved = receive_stderr() || moved;
    return moved;
}

bool Pump::send() {
    const int n = ssh_channel_write(session_->channel(), outgoing_.data() + sent_,
                                    static_cast<std::uint32_t>(outgoing_.size() - sent_));
    if (n == SSH_ERROR) {
        // What the peer had to say is still to be read: the end is found by receive(). Nothing more can be
        // sent.
        outgoing_.clear();
        write_failed_ = session_->broken("the far side takes no more input");
        writable_.cancel();
        return false;
    }
    if (n <= 0) return false;
    sent_ += static_cast<std::size_t>(n);
    if (sent_ == outgoing_.size()) {
        outgoing_.clear();
        sent_ = 0;
        writable_.cancel();
    }
    return true;
}

bool Pump::receive() {
    const int n = ssh_channel_read_nonblocking(session_->channel(), scratch_.data(), kReadSize, 0);
    if (n == SSH_ERROR) end_with(session_->broken("the connection was lost"));
    if (n <= 0) return false;
    if (taken_ == inbound_.size() || taken_ >= kInboundLimit) inbound_.erase(0, std::exchange(taken_, 0));
    inbound_.append(scratch_, 0, static_cast<std::size_t>(n));
    readable_.cancel();
    return true;
}

// Always drained: stderr that nobody reads fills the window and then stops stdout too.
bool Pump::receive_stderr() {
    char buffer[4096];
    const int n = ssh_channel_read_nonblocking(session_->channel(), buffer, sizeof buffer, 1);
    if (n <= 0) return false;
    words_.append({buffer, static_cast<std::size_t>(n)});
    return true;
}

// After the end of stdout the exit status is on its way. Asking for it also takes packets off the socket,
// which reading no longer does then.
void Pump::look_for_end() {
    if (end_ || !ssh_channel_is_eof(session_->channel())) return;
    const int status = ssh_channel_get_exit_status(session_->channel());
    if (wait_limit_ == Clock::time_point::max()) wait_limit_ = Clock::now() + kStatusWait;
    const bool closed = ssh_channel_is_closed(session_->channel()) != 0;
    if (status < 0 && !closed && Clock::now() < wait_limit_) return;
    end_with(
        fail(ErrorCode::kUnreachable,
             status >= 0 ? "nsa-worker ended with exit status " + std::to_string(status) : "nsa-worker ended",
             session_->where()));
}

void Pump::end_with(Error reason) {
    if (end_) return;
    end_ = std::move(reason);
    readable_.cancel();
    writable_.cancel();
    session_->close();
}

asio::awaitable<Result<std::size_t>> Pump::read_some(std::shared_ptr<Pump> self, std::span<char> into) {
    while (self->held() == 0) {
        if (self->end_) co_return *self->end_;
        self->readable_.expires_at(Clock::time_point::max());
        co_await self->readable_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    const std::size_t n = std::min(into.size(), self->held());
    std::memcpy(into.data(), self->inbound_.data() + self->taken_, n);
    const bool was_full = self->held() >= kInboundLimit;
    self->taken_ += n;
    if (was_full) self->session_->wake();
    co_return n;
}

asio::awaitable<Result<void>> Pump::write(std::shared_ptr<Pump> self, std::string bytes) {
    if (self->end_) co_return *self->end_;
    if (self->write_failed_) co_return *self->write_failed_;
    self->outgoing_ = std::move(bytes);
    self->sent_ = 0;
    self->session_->wake();
    while (!self->outgoing_.empty() && !self->end_) {
        self->writable_.expires_at(Clock::time_point::max());
        co_await self->writable_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (self->write_failed_) co_return *self->write_failed_;
    if (!self->outgoing_.empty()) co_return *self->end_;
    co_return Result<void>{};
}

void Pump::close() {
    end_with(fail(ErrorCode::kUnreachable, "the connection was closed on this side", session_->where()));
}

class ChannelStream : public ByteStream {
  public:
    explicit ChannelStream(std::shared_ptr<Session> session)
        : pump_(std::make_shared<Pump>(std::move(session))) {
        pump_->start();
    }
    ~ChannelStream() override { pump_->close(); }

    asio::awaitable<Result<std::size_t>> read_some(std::span<char> into) override {
        return Pump::read_some(pump_, into);
    }
    asio::awaitable<Result<void>> write(std::string bytes) override {
        return Pump::write(pump_, std::move(bytes));
    }
    void close() override { pump_->close(); }
    std::string last_words() const override { return pump_->last_words(); }

  private:
    std::shared_ptr<Pump> pump_;
};

}  // namespace

std::unique_ptr<ByteStream> make_channel_stream(std::shared_ptr<Session> session) {
    return std::make_unique<ChannelStream>(std::move(session));
}

}  // namespace nsa::engines
