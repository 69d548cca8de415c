#include "daemon/remote_end.hpp"

namespace nsa::daemon {

using scheduler::HostEnd;

namespace {

HostEnd host_end(const language::RunFinished& finished) {
    switch (finished.end) {
        case language::RunEnd::kCompleted:
            return HostEnd::kFinished;
        case language::RunEnd::kSetupFailed:
            return HostEnd::kSetupFailed;
        case language::RunEnd::kCancelled:
            return HostEnd::kCancelled;
        case language::RunEnd::kDiskFull:
            return HostEnd::kHostDiskFull;
        case language::RunEnd::kWorkerError:
            break;
    }
    return HostEnd::kWorkerError;
}

}  // namespace

Result<scheduler::Event> remote_end(const scheduler::Ticket& ticket, const protocol::AttachEnd& end,
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

}  // namespace nsa::daemon
