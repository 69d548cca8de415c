// Follows a run on its host: journal lines into the store, log bytes into files, until it is over.
#include "daemon/acts.hpp"
#include "daemon/attempt_files.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using scheduler::HostEnd;

namespace {

class RunSink : public engines::AttachSink {
  public:
    RunSink(Workplace& place, scheduler::Ticket ticket)
        : place_(place),
          ticket_(std::move(ticket)),
          files_(attempt_dir(place.config.artifacts_dir, ticket_.run, ticket_.attempt)) {}

    AttemptFiles& files() { return files_; }
    // Its last event, once it is at home.
    std::optional<language::RunFinished> finished;

    engines::Async<> on_events(std::string lines) override {
        auto save = [&](store::Store& store) {
            return store.append_events(ticket_.run, ticket_.attempt, lines);
        };
        const Result<store::Appended> appended = co_await place_.books.write(ticket_.run, save);
        if (!appended) co_return appended.error();
        bool case_started = false;
        for (const language::Event& event : appended->fresh) {
            case_started |= std::holds_alternative<language::CaseStarted>(event.body);
            if (const auto* end = std::get_if<language::RunFinished>(&event.body)) finished = *end;
        }
        place_.log_growth.ring(ticket_.run);  // a reader of a log that is complete now
        tell_progress(case_started);
        co_return Result<void>{};
    }

    engines::Async<> on_log(protocol::LogPiece piece) override {
        auto write = [&] { return files_.write_at(piece.path, piece.offset, piece.bytes); };
        const Result<void> written = co_await place_.log_disk.call(write);
        if (!written) co_return written.error();
        place_.log_growth.ring(ticket_.run);
        constexpr std::chrono::seconds kOften{1};
        if (std::chrono::steady_clock::now() - told_ > kOften) tell_progress(false);
        co_return Result<void>{};
    }

  private:
    void tell_progress(bool case_started) {
        told_ = std::chrono::steady_clock::now();
        place_.emit(scheduler::Progress{ticket_, case_started});
    }

    Workplace& place_;
    scheduler::Ticket ticket_;
    AttemptFiles files_;
    std::chrono::steady_clock::time_point told_{};
};

HostEnd host_end(const language::RunFinished& finished) {
    switch (finished.end) {
        case language::RunEnd::kCompleted:
            return HostEnd::kFinished;
        case language::RunEnd::kSetupFailed:
            return HostEnd::kSetupFailed;
        case language::RunEnd::kCancelled:
            return HostEnd::kCancelled;
        case language::RunEnd::kWorkerError:
            break;
    }
    const bool disk_full = finished.detail.find("ENOSPC") != std::string::npos;
    return disk_full ? HostEnd::kHostDiskFull : HostEnd::kWorkerError;
}

Result<scheduler::Event> ended(const scheduler::Ticket& ticket, const protocol::AttachEnd& end,
                               const std::optional<language::RunFinished>& finished) {
    using protocol::RemoteState;
    const auto as = [&](HostEnd how, std::string detail) {
        return scheduler::Event(scheduler::RemoteEnded{ticket, how, std::move(detail)});
    };
    switch (end.state) {
        case RemoteState::kFinished:
            if (finished) return as(host_end(*finished), finished->detail);
            return fail(ErrorCode::kCorrupt, "its journal ends without a run_finished event",
                        "run " + ticket.run.value);
        case RemoteState::kSupervisorDead:
            return as(HostEnd::kSupervisorDead,
                      "its process is gone after event " + std::to_string(end.last_seq) + " of the journal");
        case RemoteState::kHostRebooted:
            return as(HostEnd::kHostRebooted, "");
        case RemoteState::kUnknownRun:
            return as(HostEnd::kUnknownRun, "");
        case RemoteState::kRunning:
            break;
    }
    return fail(ErrorCode::kUnreachable, "the attach was ended early", "run " + ticket.run.value);
}

// Where the journal and the logs go on.
asio::awaitable<Result<protocol::Attach>> continuation(Workplace& place, const scheduler::Ticket& ticket,
                                                       RunSink& sink) {
    auto read = [&](store::Store& store) { return store.find_run(ticket.run); };
    const Result<store::RunRow> row = co_await place.books.read(read);
    if (!row) co_return row.error();
    protocol::Attach request;
    request.run = {ticket.run, ticket.attempt};
    const bool any_started = std::any_of(row->cases.begin(), row->cases.end(), [](const store::CaseRow& one) {
        return one.state != store::CaseState::kWaiting;
    });
    if (row->attempt && row->attempt->attempt == ticket.attempt) {
        request.from_seq = row->attempt->last_seq + 1;
        sink.finished = row->attempt->finished;
        if (any_started) place.emit(scheduler::Progress{ticket, true});
    }
    if (any_started) {
        auto sizes = [&] { return Result<std::map<std::string, std::uint64_t>>(sink.files().log_sizes()); };
        Result<std::map<std::string, std::uint64_t>> offsets = co_await place.log_disk.call(sizes);
        request.log_offsets = std::move(*offsets);
    }
    co_return request;
}

}  // namespace

ActResult follow(Workplace& place, scheduler::Attach act) {
    const std::shared_ptr<HostSession> session = place.instances.session(act.instance);
    if (!session) co_return link_is_down(act.instance);
    RunSink sink(place, act.ticket);
    Result<protocol::Attach> request = co_await continuation(place, act.ticket, sink);
    if (!request) co_return request.error();
    const Result<protocol::AttachEnd> end = co_await session->client.attach(std::move(*request), sink);
    if (!end) co_return end.error();
    co_return ended(act.ticket, *end, sink.finished);
}

}  // namespace nsa::daemon
