#include "daemon/remote_end.hpp"

#include <gtest/gtest.h>

namespace nsa::daemon {
namespace {

using language::RunEnd;
using protocol::RemoteState;
using scheduler::HostEnd;

const scheduler::Ticket kTicket{{"r-1"}, Attempt{1}, {7}};

scheduler::RemoteEnded ended(RemoteState state, std::optional<language::RunFinished> finished = {}) {
    const Result<scheduler::Event> event = remote_end(kTicket, {state, 9}, finished);
    return event ? std::get<scheduler::RemoteEnded>(*event) : scheduler::RemoteEnded{};
}

TEST(RemoteEnd, IsWhatTheJournalsLastEventSaysAndNotWhatItsDetailMentions) {
    const std::string detail = "2 files do not come home: steps/s/ENOSPC.txt, steps/s/disk_full";
    const std::pair<RunEnd, HostEnd> rows[] = {{RunEnd::kCompleted, HostEnd::kFinished},
                                               {RunEnd::kSetupFailed, HostEnd::kSetupFailed},
                                               {RunEnd::kCancelled, HostEnd::kCancelled},
                                               {RunEnd::kDiskFull, HostEnd::kHostDiskFull},
                                               {RunEnd::kWorkerError, HostEnd::kWorkerError}};
    for (const auto& [end, expected] : rows) {
        const auto event = ended(RemoteState::kFinished, language::RunFinished{end, detail, {}, 0, 0});
        EXPECT_EQ(event.end, expected) << language::to_string(end);
        EXPECT_EQ(event.detail, detail);
        EXPECT_EQ(event.ticket, kTicket);
    }
}

TEST(RemoteEnd, OfARunWithoutALastEventIsWhatBecameOfItsSupervisor) {
    EXPECT_EQ(ended(RemoteState::kSupervisorDead).end, HostEnd::kSupervisorDead);
    EXPECT_EQ(ended(RemoteState::kHostRebooted).end, HostEnd::kHostRebooted);
    EXPECT_EQ(ended(RemoteState::kUnknownRun).end, HostEnd::kUnknownRun);
    EXPECT_EQ(remote_end(kTicket, {RemoteState::kFinished, 9}, {}).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(remote_end(kTicket, {RemoteState::kRunning, 9}, {}).error().code, ErrorCode::kUnreachable);
}

}  // namespace
}  // namespace nsa::daemon
