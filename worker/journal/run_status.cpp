#include "journal/run_status.hpp"

#include "journal/lock.hpp"
#include "journal/reader.hpp"
#include "journal/run_dir.hpp"
#include "posix/files.hpp"
#include "posix/identity.hpp"

namespace nsa::journal {
namespace {

using protocol::RemoteState;

RemoteState state_of(const language::RunStarted& supervisor) {
    // A container that came back under another name still has the kernel's boot id.
    const bool elsewhere = supervisor.boot_id != posix::boot_id() && supervisor.host != posix::host_name();
    if (elsewhere) return RemoteState::kRunning;
    switch (posix::liveness_of({supervisor.pid, supervisor.start_ticks, supervisor.boot_id})) {
        case posix::Liveness::kAlive:
            return RemoteState::kRunning;
        case posix::Liveness::kDead:
            return RemoteState::kSupervisorDead;
        case posix::Liveness::kRebooted:
            return RemoteState::kHostRebooted;
    }
    return RemoteState::kSupervisorDead;
}

// Reads the journal as it stands. Liveness is asked before, so that a supervisor that finished in between is
// found finished, not dead.
Result<RunStatus> read_journal(int file, RemoteState unless_finished) {
    RunStatus status;
    status.state = unless_finished;
    const auto first = read_first(file);
    if (!first) return first.error();
    if (!*first) return status;
    const auto* started = std::get_if<language::RunStarted>(&(*first)->body);
    if (started == nullptr) return fail(ErrorCode::kCorrupt, "does not begin with run_started", kJournalFile);
    status.supervisor = *started;
    const auto tail = read_tail(file);
    if (!tail) return tail.error();
    if (tail->last) {
        status.last_seq = tail->last->seq;
        if (std::holds_alternative<language::RunFinished>(tail->last->body)) {
            status.state = RemoteState::kFinished;
        }
    }
    return status;
}

}  // namespace

Result<RunStatus> read_run_status(int run_dir) {
    const RemoteState unstarted =
        is_locked(run_dir, kLockFile) ? RemoteState::kRunning : RemoteState::kUnknownRun;
    const auto file = posix::open_regular(run_dir, kJournalFile);
    if (!file && file.error().code == ErrorCode::kNotFound) return RunStatus{unstarted, 0, {}};
    if (!file) return file.error();
    auto status = read_journal(file->get(), unstarted);
    if (!status || !status->supervisor || status->state == RemoteState::kFinished) return status;
    return read_journal(file->get(), state_of(*status->supervisor));
}

}  // namespace nsa::journal
