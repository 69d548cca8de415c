#include "support/memory_stream.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

namespace nsa::test {
namespace asio = boost::asio;

struct MemoryPeer::Wire {
    // The expiry is set once: setting it again would wake all who wait.
    explicit Wire(const asio::any_io_executor& executor)
        : changed(executor, asio::steady_timer::time_point::max()) {}

    // Wakes both ends; each looks for itself what has changed.
    void notify() { changed.cancel(); }
    asio::awaitable<void> wait() { co_await changed.async_wait(asio::as_tuple(asio::use_awaitable)); }

    std::string to_client, to_peer, last_words;
    std::size_t read_limit = 0;
    bool hung_up = false, closed = false, blocked = false;
    asio::steady_timer changed;
};

class MemoryPeer::Stream : public engines::ByteStream {
  public:
    explicit Stream(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
    ~Stream() override { close(); }

    asio::awaitable<Result<std::size_t>> read_some(std::span<char> into) override {
        const std::shared_ptr<Wire> wire = wire_;
        while (wire->to_client.empty() || wire->closed) {
            if (wire->closed) co_return fail(ErrorCode::kUnreachable, "closed");
            if (wire->hung_up) co_return fail(ErrorCode::kUnreachable, "the peer hung up");
            co_await wire->wait();
        }
        std::size_t n = std::min(into.size(), wire->to_client.size());
        if (wire->read_limit != 0) n = std::min(n, wire->read_limit);
        std::copy_n(wire->to_client.begin(), n, into.begin());
        wire->to_client.erase(0, n);
        co_return n;
    }

    asio::awaitable<Result<void>> write(std::string bytes) override {
        const std::shared_ptr<Wire> wire = wire_;
        while (wire->blocked && !wire->closed && !wire->hung_up)
            co_await wire->wait();
        if (wire->closed || wire->hung_up) co_return fail(ErrorCode::kUnreachable, "nobody reads");
        wire->to_peer += bytes;
        wire->notify();
        co_return Result<void>{};
    }

    void close() override {
        wire_->closed = true;
        wire_->notify();
    }
    std::string last_words() const override { return wire_->last_words; }

  private:
    std::shared_ptr<Wire> wire_;
};

MemoryPeer::MemoryPeer(asio::any_io_executor executor) : wire_(std::make_shared<Wire>(executor)) {}
MemoryPeer::~MemoryPeer() {
    hang_up();
}

std::unique_ptr<engines::ByteStream> MemoryPeer::take_stream() {
    return std::make_unique<Stream>(wire_);
}

asio::awaitable<protocol::Frame> MemoryPeer::next_frame() {
    const std::shared_ptr<Wire> wire = wire_;
    for (;;) {
        Result<std::optional<protocol::Frame>> frame = frames_.next();
        if (!frame) throw std::runtime_error{"the client sent no frame: " + frame.error().describe()};
        if (*frame) co_return std::move(**frame);
        if (wire->to_peer.empty() && wire->closed) throw std::runtime_error{"the client closed"};
        if (wire->to_peer.empty()) co_await wire->wait();
        frames_.feed(std::exchange(wire->to_peer, {}));
    }
}

void MemoryPeer::send(protocol::FrameType type, std::uint32_t request, std::string_view payload) {
    protocol::append_frame(wire_->to_client, type, request, payload);
    wire_->notify();
}
void MemoryPeer::send_bytes(std::string_view bytes) {
    wire_->to_client.append(bytes);
    wire_->notify();
}
void MemoryPeer::hang_up(std::string last_words) {
    if (!last_words.empty()) wire_->last_words = std::move(last_words);
    wire_->hung_up = true;
    wire_->notify();
}
bool MemoryPeer::closed_by_client() const {
    return wire_->closed;
}
void MemoryPeer::limit_reads(std::size_t bytes) {
    wire_->read_limit = bytes;
}
void MemoryPeer::block_writes(bool blocked) {
    wire_->blocked = blocked;
    wire_->notify();
}

}  // namespace nsa::test
