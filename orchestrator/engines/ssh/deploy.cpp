#include "engine_ssh/deploy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <fstream>
#include <iterator>
#include <optional>

#include "language/hash.hpp"

namespace nsa::engines {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMaxNoise = 256U << 10;  // of start-up files, before the first marker
constexpr std::size_t kMaxReason = 4096;
constexpr std::size_t kPushChunk = 256U << 10;
constexpr std::string_view kMarker = "nsa-worker: ";

// {hash}, {size}, {home}, {path}. `h` may hold blanks from $HOME, so it stays quoted. The binary appears by
// rename under its hash: what is there is whole. LC_ALL=C for the errors, in the subshell only: steps keep
// the host's locale.
constexpr std::string_view kScript =
    R"(h="{home}"; w="$h/bin/nsa-worker-{hash}"; t="$w.$$"; )"
    R"(if [ ! -x "$w" ] || [ ! -s "$w" ]; then printf "\nnsa-worker: send {hash}\n"; )"
    R"(e=$( (LC_ALL=C; export LC_ALL; umask 077; mkdir -p "$h/bin" && head -c {size} > "$t" && )"
    R"(s=$(sha256sum < "$t") && case "$s" in {hash}*) ;; *) echo "the bytes arrived with hash $s"; false;; esac && )"
    R"(chmod 700 "$t" && {{ sync "$t" || sync; }} && mv -f "$t" "$w") 2>&1) || )"
    R"({{ rm -f "$t"; printf "\nnsa-worker: failed {hash}\n%s: %s\n" "$h/bin" "$e"; exit 1; }}; fi; )"
    R"(printf "\nnsa-worker: ready {hash}\n"; exec "$w" serve --home "$h"{path})";

// Ends a wait on the stream by closing it. It may fire after the stream is gone: then it finds nothing.
class Watchdog {
  public:
    Watchdog(const asio::any_io_executor& executor, ByteStream& stream)
        : timer_(executor), state_(std::make_shared<State>()) {
        state_->stream = &stream;
    }
    ~Watchdog() { state_->stream = nullptr; }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    void set(std::chrono::milliseconds limit) {
        timer_.expires_after(limit);
        timer_.async_wait([state = state_](boost::system::error_code ec) {
            if (ec || state->stream == nullptr) return;
            state->fired = true;
            state->stream->close();
        });
    }
    bool fired() const { return state_->fired; }

  private:
    struct State {
        ByteStream* stream = nullptr;
        bool fired = false;
    };
    asio::steady_timer timer_;
    std::shared_ptr<State> state_;
};

struct Marker {
    std::string word;  // "ready", "send", "failed"
    std::string rest;  // bytes that came after its line
};

// The first line of `text` that is a marker of this worker.
std::optional<Marker> find_marker(const std::string& text, const Sha256& hash) {
    for (std::size_t at = text.find(kMarker); at != std::string::npos; at = text.find(kMarker, at + 1)) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string::npos) return std::nullopt;
        if (at != 0 && text[at - 1] != '\n') continue;
        const std::string line = text.substr(at + kMarker.size(), end - at - kMarker.size());
        for (const std::string_view word : {"ready", "send", "failed"}) {
            if (line == std::string{word} + " " + hash.value)
                return Marker{std::string{word}, text.substr(end + 1)};
        }
    }
    return std::nullopt;
}

class Starter {
  public:
    Starter(const asio::any_io_executor& executor, ByteStream& stream, const WorkerBinary& worker,
            StartLimits limits, std::string where)
        : stream_(stream),
          worker_(worker),
          limits_(limits),
          where_(std::move(where)),
          watchdog_(executor, stream) {}

    asio::awaitable<Result<void>> run() {
        Result<Marker> marker = co_await next_marker("");
        if (marker && marker->word == "send") {
            co_await push();  // a push that fails is explained by the marker that follows, or by the stream's
                              // end
            marker = co_await next_marker(std::move(marker->rest));  // which may have come with the first
        }
        if (!marker) co_return marker.error();
        if (marker->word == "failed") co_return co_await failure(marker->rest);
        if (marker->word != "ready" || !marker->rest.empty()) {
            co_return fail(ErrorCode::kProtocol, "the start script of nsa-worker answered out of turn",
                           where_);
        }
        co_return Result<void>{};
    }

  private:
    asio::awaitable<Result<std::string>> more() {
        std::string buffer(4096, '\0');
        const std::span<char> into{buffer};
        const Result<std::size_t> got = co_await stream_.read_some(into);
        if (!got) co_return ended(got.error());
        buffer.resize(*got);
        co_return buffer;
    }

    // text: what has come already.
    asio::awaitable<Result<Marker>> next_marker(std::string text) {
        watchdog_.set(limits_.answer);
        while (text.size() < kMaxNoise) {
            if (std::optional<Marker> marker = find_marker(text, worker_.sha256))
                co_return *std::move(marker);
            const Result<std::string> bytes = co_await more();
            if (!bytes) co_return bytes.error();
            text += *bytes;
        }
        co_return fail(
            ErrorCode::kProtocol,
            "the account's shell prints without end before it runs a command; its start-up files must "
            "be quiet when they are not interactive",
            where_);
    }

    asio::awaitable<void> push() {
        for (std::size_t at = 0; at < worker_.bytes.size(); at += kPushChunk) {
            watchdog_.set(limits_.progress);
            std::string chunk = worker_.bytes.substr(at, kPushChunk);
            const Result<void> sent = co_await stream_.write(std::move(chunk));
            if (!sent) co_return;
        }
    }

    // The reason stands behind the marker, up to the end of the stream.
    asio::awaitable<Error> failure(std::string reason) {
        while (reason.size() < kMaxReason) {
            const Result<std::string> bytes = co_await more();
            if (!bytes) break;
            reason += *bytes;
        }
        while (!reason.empty() && reason.back() == '\n')
            reason.pop_back();
        std::replace(reason.begin(), reason.end(), '\n', ' ');
        const bool full = reason.find("No space left on device") != std::string::npos ||
                          reason.find("quota exceeded") != std::string::npos;
        co_return fail(full ? ErrorCode::kNoSpace : ErrorCode::kInternal,
                       "nsa-worker cannot be put into " + reason, where_);
    }

    Error ended(Error error) const {
        if (watchdog_.fired()) {
            return fail(ErrorCode::kTimeout, "the host did not start nsa-worker in time", where_);
        }
        if (const std::string said = stream_.last_words(); !said.empty()) error.text += "; it said: " + said;
        error.where = where_;
        return error;
    }

    ByteStream& stream_;
    const WorkerBinary& worker_;
    StartLimits limits_;
    std::string where_;
    Watchdog watchdog_;
};

}  // namespace

Result<WorkerBinary> read_worker_binary(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    WorkerBinary worker;
    worker.bytes.assign(std::istreambuf_iterator<char>{in}, {});
    if (!in || worker.bytes.empty()) {
        return fail(ErrorCode::kNotFound,
                    "the worker program to deploy cannot be read; build the target nsa-worker",
                    path.string());
    }
    worker.sha256 = sha256_of(worker.bytes);
    return worker;
}

std::string remote_command(const WorkerBinary& worker, const std::string& home, const std::string& path) {
    std::string place = home.empty() ? "~/.nsa" : home;
    if (place.front() == '~') place = "$HOME" + place.substr(1);
    // sh -c '...': the same whatever the login shell is; the script holds no single quote.
    return "exec /bin/sh -c '" +
           fmt::format(kScript, fmt::arg("home", place), fmt::arg("hash", worker.sha256.value),
                       fmt::arg("size", worker.bytes.size()),
                       fmt::arg("path", path.empty() ? "" : " --path " + path)) +
           "'";
}

asio::awaitable<Result<std::unique_ptr<ByteStream>>> start_worker(std::unique_ptr<ByteStream> stream,
                                                                  const WorkerBinary& worker,
                                                                  StartLimits limits, std::string where) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    {
        Starter starter{executor, *stream, worker, limits, where};
        const Result<void> started = co_await starter.run();
        if (!started) co_return started.error();
    }
    co_return stream;
}

}  // namespace nsa::engines
