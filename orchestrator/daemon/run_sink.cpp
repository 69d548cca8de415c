#include "daemon/run_sink.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "language/failpoint.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kMostPending = 1U << 20;  // bytes; then the worker waits
constexpr int kWritesAtOnce = 8;                // of a run, before they are spaced
constexpr int kSpacing = 10;                    // times the length of the last write
constexpr milliseconds kLongestSpace{200};

}  // namespace

RunSink::RunSink(Workplace& place, scheduler::Ticket ticket, asio::any_io_executor executor)
    : place_(place),
      ticket_(std::move(ticket)),
      files_(place.write_back, attempt_dir(place.config.artifacts_dir, ticket_.run, ticket_.attempt)),
      changed_(executor, steady_clock::time_point::max()) {}

engines::Async<> RunSink::on_events(std::string lines) {
    constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);
    pending_ += lines;
    changed_.cancel();
    while (pending_.size() > kMostPending)
        (void)co_await changed_.async_wait(kQuiet);
    co_return Result<void>{};
}

engines::Async<> RunSink::on_log(protocol::LogPiece piece) {
    if (!place_.books.has_room()) co_return no_room(place_);
    auto put = [&] { return files_.write_at(piece.path, piece.offset, piece.bytes); };
    const Result<void> written = co_await place_.log_disk.call(put);
    if (!written) co_return written.error();
    failpoint("daemon.log.written");
    place_.log_growth.ring(ticket_.run);
    constexpr std::chrono::seconds kOften{1};
    if (steady_clock::now() - told_ > kOften) tell_progress(false);
    co_return Result<void>{};
}

asio::awaitable<Error> RunSink::keep_writing() {
    constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);
    for (;;) {
        while (pending_.empty())
            (void)co_await changed_.async_wait(kQuiet);
        const steady_clock::time_point begin = steady_clock::now();
        const Result<void> written = co_await write();
        if (!written) co_return written.error();
        const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
        if (++writes_ > kWritesAtOnce) co_await pause_for(std::min(took * kSpacing, kLongestSpace));
    }
}

engines::Async<> RunSink::write_rest() {
    if (pending_.empty()) co_return Result<void>{};
    co_return co_await write();
}

engines::Async<> RunSink::write() {
    const std::string lines = pending_;
    auto save = [&](store::Store& store) { return store.append_events(ticket_.run, ticket_.attempt, lines); };
    failpoint("daemon.journal.before_commit");
    const Result<store::Appended> appended = co_await place_.books.write(ticket_.run, save);
    if (!appended) co_return appended.error();
    failpoint("daemon.journal.after_commit");
    pending_.erase(0, lines.size());
    changed_.cancel();
    bool case_started = false;
    for (const language::Event& event : appended->fresh) {
        case_started |= std::holds_alternative<language::CaseStarted>(event.body);
        if (const auto* end = std::get_if<language::RunFinished>(&event.body)) finished = *end;
    }
    place_.log_growth.ring(ticket_.run);  // a reader of a log that is complete now
    tell_progress(case_started);
    co_return Result<void>{};
}

void RunSink::tell_progress(bool case_started) {
    told_ = steady_clock::now();
    place_.emit(scheduler::Progress{ticket_, case_started});
}

}  // namespace nsa::daemon
