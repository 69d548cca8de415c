#include "runner/limits.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

namespace nsa::runner {
namespace {

using namespace std::chrono_literals;
using language::EndKind;

const Instant kStart{1000h};

Limits limits(Duration wall, Duration silence = {}) {
    return {.wall = wall, .silence = silence, .grace = 10s, .kill_wait = 60s};
}

TEST(LimitWatch, WithoutLimitsNothingIsEverDue) {
    LimitWatch watch{limits({}), kStart};
    EXPECT_EQ(watch.next(), std::nullopt);
    EXPECT_EQ(watch.step(kStart + 100000h), Action::kNone);
}

TEST(LimitWatch, WallLimitTermsThenKillsThenGivesUpOnceEach) {
    LimitWatch watch{limits(30s), kStart};
    EXPECT_EQ(watch.next(), kStart + 30s);
    EXPECT_EQ(watch.step(kStart + 30s - 1ns), Action::kNone);
    EXPECT_EQ(watch.step(kStart + 31s), Action::kTerm);
    EXPECT_EQ(watch.reason(), StopReason::kWall);
    EXPECT_EQ(watch.next(), kStart + 41s);
    EXPECT_EQ(watch.step(kStart + 35s), Action::kNone);
    EXPECT_EQ(watch.step(kStart + 41s), Action::kKill);
    EXPECT_EQ(watch.step(kStart + 41s), Action::kNone);
    EXPECT_EQ(watch.next(), kStart + 101s);
    EXPECT_EQ(watch.step(kStart + 101s), Action::kGiveUp);
    EXPECT_EQ(watch.step(kStart + 1000s), Action::kNone);
    EXPECT_EQ(watch.next(), std::nullopt);
}

TEST(LimitWatch, SilenceCountsFromTheLastOutput) {
    LimitWatch watch{limits({}, 5s), kStart};
    watch.saw_output(kStart + 4s);
    EXPECT_EQ(watch.next(), kStart + 9s);
    EXPECT_EQ(watch.step(kStart + 8s), Action::kNone);
    EXPECT_EQ(watch.step(kStart + 9s), Action::kTerm);
    EXPECT_EQ(watch.reason(), StopReason::kSilence);
}

TEST(LimitWatch, TheEarlierOfTwoLimitsComesFirst) {
    LimitWatch watch{limits(3s, 5s), kStart};
    EXPECT_EQ(watch.next(), kStart + 3s);
    EXPECT_EQ(watch.step(kStart + 6s), Action::kTerm);
    EXPECT_EQ(watch.reason(), StopReason::kWall);
}

TEST(LimitWatch, AStopFromOutsideIsDueAtOnceAndTheFirstReasonStands) {
    LimitWatch watch{limits(30s), kStart};
    watch.stop(StopReason::kCancel);
    watch.stop(StopReason::kDiskFull);
    EXPECT_LE(*watch.next(), kStart);
    EXPECT_EQ(watch.step(kStart + 1s), Action::kTerm);
    EXPECT_EQ(watch.reason(), StopReason::kCancel);
}

int exited(int code) {
    return W_EXITCODE(code, 0);
}
int signalled(int signal, bool core = false) {
    return W_EXITCODE(0, signal) | (core ? WCOREFLAG : 0);
}

TEST(ProcessEnd, WithoutAStopTheStatusSpeaks) {
    EXPECT_EQ(process_end(exited(0), StopReason::kNone, {}), (language::ProcessEnd{}));
    EXPECT_EQ(process_end(exited(77), StopReason::kNone, {}).exit_code, 77);
    const auto crash = process_end(signalled(SIGSEGV, true), StopReason::kNone, {});
    EXPECT_EQ(crash.kind, EndKind::kSignalled);
    EXPECT_EQ(crash.signal, SIGSEGV);
    EXPECT_TRUE(crash.core_dumped);
}

TEST(ProcessEnd, AStopDecidesTheKindWhateverTheStatus) {
    for (const int status : {exited(0), exited(3), signalled(SIGTERM), signalled(SIGKILL)}) {
        EXPECT_EQ(process_end(status, StopReason::kWall, limits(30s)).kind, EndKind::kTimedOut);
        EXPECT_EQ(process_end(status, StopReason::kSilence, limits(30s, 5s)).kind, EndKind::kSilent);
        EXPECT_EQ(process_end(status, StopReason::kCancel, limits(30s)).kind, EndKind::kCancelled);
    }
    EXPECT_EQ(process_end(exited(0), StopReason::kWall, limits(1500ms)).detail,
              "stopped at its wall limit of 1.5 s");
}

TEST(ProcessEnd, AProcessThatSurvivesSigkillIsSaidToBeUnkillable) {
    const auto end = process_end(std::nullopt, StopReason::kWall, limits(30s));
    EXPECT_EQ(end.kind, EndKind::kTimedOut);
    EXPECT_NE(end.detail.find("unkillable: still there 60 s after SIGKILL"), std::string::npos) << end.detail;
}

TEST(ProcessEnd, AFullDiskIsNamedWhicheverWayTheProgramWent) {
    EXPECT_EQ(process_end(signalled(SIGTERM), StopReason::kDiskFull, {}).kind, EndKind::kSignalled);
    EXPECT_EQ(process_end(exited(1), StopReason::kDiskFull, {}).kind, EndKind::kExited);
    EXPECT_NE(process_end(exited(1), StopReason::kDiskFull, {}).detail.find("ENOSPC"), std::string::npos);
}

}  // namespace
}  // namespace nsa::runner
