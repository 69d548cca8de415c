#include "engines/local_engine.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "engines/child.hpp"
#include "engines/child_end.hpp"
#include "engines/last_words.hpp"

namespace nsa::engines {
namespace asio = boost::asio;
namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kExitGrace{5000};  // from the end of its stdin to SIGKILL
constexpr std::chrono::milliseconds kStatusWait{200};  // stdout ends a moment before the process does

// The child and its descriptors; kept by the stream, the stderr reader and await_exit().
struct LocalChild {
    LocalChild(const asio::any_io_executor& executor, Child child, ChildEnd child_end)
        : end(std::move(child_end)),
          stdio(executor, child.stdio.release()),
          err(executor, child.err.release()) {}

    ChildEnd end;  // kills it when the loop ends first: `serve` keeps no state that a kill could harm
    asio::posix::stream_descriptor stdio, err;
    LastWords words;
    bool closed = false;
};
using Shared = std::shared_ptr<LocalChild>;

// The end of its stdin asks it to go.
asio::awaitable<void> await_exit(Shared child) {
    bool ended =
        co_await child->end.within(kExitGrace);  // g++ 12 breaks a frame with co_await in an if's condition
    if (!ended) {
        child->end.kill();
        ended = co_await child->end.within(kExitGrace);
    }
}

asio::awaitable<void> drain_stderr(Shared child) {
    std::string buffer(4096, '\0');
    for (;;) {
        const auto [ec, n] = co_await child->err.async_read_some(asio::buffer(buffer), quiet);
        if (ec) co_return;
        child->words.append(std::string_view{buffer}.substr(0, n));
    }
}

class LocalStream : public ByteStream {
  public:
    LocalStream(Shared child, std::string where) : child_(std::move(child)), where_(std::move(where)) {
        asio::co_spawn(child_->err.get_executor(), drain_stderr(child_), asio::detached);
    }
    ~LocalStream() override { close(); }

    asio::awaitable<Result<std::size_t>> read_some(std::span<char> into) override {
        const auto [ec, n] =
            co_await child_->stdio.async_read_some(asio::buffer(into.data(), into.size()), quiet);
        if (!ec) co_return n;
        if (child_->closed) co_return gone("the connection was closed on this side");
        const bool ended = co_await child_->end.within(kStatusWait);
        co_return gone(ended ? "nsa-worker ended with " + child_->end.text()
                             : "nsa-worker closed its stdout");
    }

    asio::awaitable<Result<void>> write(std::string bytes) override {
        const auto [ec, n] = co_await asio::async_write(child_->stdio, asio::buffer(bytes), quiet);
        if (ec) co_return gone("nsa-worker takes no more input: " + ec.message());
        co_return Result<void>{};
    }

    void close() override {
        if (std::exchange(child_->closed, true)) return;
        child_->stdio.close();
        asio::co_spawn(child_->err.get_executor(), await_exit(child_), asio::detached);
    }

    std::string last_words() const override { return child_->words.text(); }

  private:
    Error gone(std::string text) const { return fail(ErrorCode::kUnreachable, std::move(text), where_); }

    Shared child_;
    std::string where_;
};

class LocalEngine : public Engine {
  public:
    LocalEngine(asio::any_io_executor executor, std::filesystem::path worker)
        : executor_(std::move(executor)), worker_(std::move(worker)) {}

    asio::awaitable<Result<std::unique_ptr<ByteStream>>> open(InstanceConfig config) override {
        std::vector<std::string> arguments{"serve"};
        if (!config.worker_home.empty()) {
            arguments.emplace_back("--home");
            arguments.push_back(config.worker_home);
        }
        if (!config.tool_path.empty()) {
            arguments.emplace_back("--path");
            arguments.push_back(config.tool_path);
        }
        Result<Child> child = spawn_child(worker_, arguments);
        if (!child) co_return child.error();
        Result<ChildEnd> end = ChildEnd::watch(executor_, child->pid);
        if (!end) co_return end.error();
        Shared shared = std::make_shared<LocalChild>(executor_, std::move(*child), std::move(*end));
        co_return std::make_unique<LocalStream>(std::move(shared), "instance " + config.name.value);
    }

  private:
    asio::any_io_executor executor_;
    std::filesystem::path worker_;
};

}  // namespace

std::unique_ptr<Engine> make_local_engine(asio::any_io_executor executor, std::filesystem::path worker) {
    return std::make_unique<LocalEngine>(std::move(executor), std::move(worker));
}

}  // namespace nsa::engines
