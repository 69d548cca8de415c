#include "driver.hpp"

namespace nsa::scheduler {
namespace {

TEST(RunLife, TheIntentIsSavedBeforeTheLaunchAndTheAttemptCountsFromOne) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    d.apply(Staged{d.one<Stage>().ticket});
    EXPECT_EQ(d.one<SaveIntent>(), (SaveIntent{{"r1"}, Attempt{1}, {"a"}}));
    const auto is = [](auto type) {
        return [](const Action& action) { return std::holds_alternative<decltype(type)>(action); };
    };
    const auto intent = std::find_if(d.last.begin(), d.last.end(), is(SaveIntent{}));
    const auto launch = std::find_if(d.last.begin(), d.last.end(), is(Launch{}));
    EXPECT_LT(intent, launch);
}

TEST(RunLife, ACompletedRunIsCollectedThenPublishedThenReported) {
    Driver d;
    d.add_instance("a");
    const Ticket attach = d.run_until_attached("r1", "a");
    EXPECT_EQ(d.one<SaveRun>().state, RunState::kRunning);
    d.apply(RemoteEnded{attach, HostEnd::kFinished, ""});
    EXPECT_EQ(d.one<SaveRun>().state, RunState::kCollecting);
    EXPECT_TRUE(d.one<Collect>().whole);
    d.apply(Collected{d.one<Collect>().ticket});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCompleted);
    d.apply(Published{d.one<Publish>().ticket});
    EXPECT_EQ(d.one<Report>().run, RunId{"r1"});
    EXPECT_TRUE(d.state.runs.empty());
    EXPECT_FALSE(d.state.instances.at({"a"}).lease);
}

TEST(RunLife, ARunWithSetupIsShownInSetupUntilItsFirstCaseStarts) {
    Driver d;
    d.has_setup = true;
    d.add_instance("a");
    const Ticket attach = d.run_until_attached("r1", "a");
    EXPECT_EQ(d.shown("r1"), RunState::kSetup);
    d.apply(Progress{attach, false});
    EXPECT_EQ(d.shown("r1"), RunState::kSetup);
    d.apply(Progress{attach, true});
    EXPECT_EQ(d.one<SaveRun>().state, RunState::kRunning);
}

TEST(RunLife, AJournalThatCannotBeReadIsGivenUpAfterAFewTries) {
    Driver d;
    d.add_instance("a");
    Ticket attach = d.run_until_attached("r1", "a");
    const auto limit = d.run("r1").until;
    for (int tries = 1; tries < 5; ++tries) {
        d.apply(Progress{attach, true, false});  // what is at home already is told at every attach
        d.apply(ActFailed{attach, fail(ErrorCode::kCorrupt, "event 3 twice", "journal")});
        EXPECT_EQ(d.shown("r1"), RunState::kRunning);
        EXPECT_EQ(d.run("r1").until, limit) << "a failure moves no limit";
        d.advance(10s);
        attach = d.one<Attach>().ticket;
    }
    d.apply(ActFailed{attach, fail(ErrorCode::kCorrupt, "event 3 twice", "journal")});
    EXPECT_EQ(d.run("r1").reason, Reason::kInternal);
    EXPECT_TRUE(d.all<Attach>().empty());
}

TEST(RunLife, AnAnswerWithAnOlderTicketIsRefused) {
    Driver d;
    d.add_instance("a");
    const Ticket old = d.run_until_attached("r1", "a");
    d.apply(unreachable("a"));
    d.apply(LinkUp{{"a"}, {}});
    d.apply(RemoteEnded{old, HostEnd::kFinished, ""});
    EXPECT_TRUE(d.last.empty());
    EXPECT_EQ(d.shown("r1"), RunState::kRunning);
}

TEST(RunLife, WhatTheHostSaysDecidesTheReason) {
    const std::vector<std::tuple<HostEnd, Reason, bool>> rows = {
        {HostEnd::kFinished, Reason::kCompleted, true},
        {HostEnd::kSetupFailed, Reason::kSetupFailed, true},
        {HostEnd::kWorkerError, Reason::kWorkerDied, true},
        {HostEnd::kHostDiskFull, Reason::kHostDiskFull, true},
        {HostEnd::kSupervisorDead, Reason::kWorkerDied, false},
        {HostEnd::kHostRebooted, Reason::kHostRebooted, false},
    };
    for (const auto& [end, reason, whole] : rows) {
        Driver d;
        d.add_instance("a");
        d.apply(RemoteEnded{d.run_until_attached("r1", "a"), end, "detail"});
        EXPECT_EQ(d.one<Collect>().whole, whole);
        d.apply(Collected{d.one<Collect>().ticket});
        EXPECT_EQ(d.one<Publish>().reason, reason);
    }
}

TEST(RunLife, AJobWhoseRunDirectoryIsGoneIsADeadWorkerAndIsNotLaunchedAgain) {
    Driver d;
    d.add_instance("a");
    d.apply(RemoteEnded{d.run_until_attached("r1", "a"), HostEnd::kUnknownRun, ""});
    EXPECT_TRUE(d.all<Launch>().empty());
    EXPECT_EQ(d.one<Publish>().reason, Reason::kWorkerDied);
}

TEST(RunLife, AFullDiskOrARefusalAtStagingEndsTheRunAtOnce) {
    for (const auto& [code, reason] : {std::pair{ErrorCode::kNoSpace, Reason::kHostDiskFull},
                                       std::pair{ErrorCode::kInternal, Reason::kDeployFailed}}) {
        Driver d;
        d.add_instance("a");
        d.submit("r1", "a");
        d.apply(ActFailed{d.one<Stage>().ticket, fail(code, "no", "instance a")});
        EXPECT_EQ(d.one<Publish>().reason, reason);
        EXPECT_EQ(d.one<Publish>().message, "instance a: no");
    }
}

TEST(RunLife, ALaunchWithoutAnAnswerIsRepeatedWithTheSameAttempt) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    d.apply(Staged{d.one<Stage>().ticket});
    d.apply(ActFailed{d.one<Launch>().ticket, fail(ErrorCode::kTimeout, "no answer")});
    EXPECT_TRUE(d.all<Launch>().empty());
    d.advance(1s);
    EXPECT_EQ(d.one<Launch>().ticket.attempt, Attempt{1});
    EXPECT_TRUE(d.all<SaveIntent>().empty());
}

TEST(RunLife, AFailureOfAListedClassIsTriedAgainUpToTheCap) {
    Driver d;
    d.add_instance("a");
    const language::Retry retry{.on = {language::FailureClass::kInfra}, .max = 1};
    d.apply(RemoteEnded{d.run_until_attached("r1", "a", retry), HostEnd::kSupervisorDead, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    EXPECT_TRUE(d.all<Publish>().empty());
    const FailedTry failed{Attempt{1}, {"a"}, Reason::kWorkerDied, "the worker's supervisor died: "};
    EXPECT_EQ(d.one<SaveRun>().retries, 1);
    EXPECT_EQ(d.one<SaveRun>().failed, failed) << "the save that spends the retry says on what";
    const Ticket second = d.attach_from_stage();
    EXPECT_EQ(second.attempt, Attempt{2});
    d.apply(RemoteEnded{second, HostEnd::kSupervisorDead, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kWorkerDied);
}

TEST(RunLife, APullIsRepeatedForBrokenHashesAndThenGivenUpWithItsReason) {
    Driver d;
    d.add_instance("a");
    d.apply(RemoteEnded{d.run_until_attached("r1", "a"), HostEnd::kFinished, ""});
    const Error broken = fail(ErrorCode::kCorrupt, "hash differs", "steps/x/stdout");
    d.apply(ActFailed{d.one<Collect>().ticket, broken});
    d.advance(1s);
    d.apply(ActFailed{d.one<Collect>().ticket, broken});
    d.advance(2s);
    d.apply(ActFailed{d.one<Collect>().ticket, broken});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kPullFailed);
}

TEST(RunLife, AFullDiskAtHomeHoldsThePullUntilItsLimit) {
    Driver d;
    d.add_instance("a");
    d.apply(RemoteEnded{d.run_until_attached("r1", "a"), HostEnd::kFinished, ""});
    for (int i = 0; i < 10; ++i) {
        d.apply(ActFailed{d.one<Collect>().ticket, fail(ErrorCode::kNoSpace, "disk full", "artifacts")});
        EXPECT_EQ(d.one<SaveRun>().message, "artifacts: disk full") << "said once, not at every try";
        d.advance(10s);
        d.state.runs.at({"r1"}).saved.message.clear();  // as if the text had been another one meanwhile
    }
    d.advance(10min);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kPullTimeout);
    EXPECT_NE(d.one<Publish>().message.find("disk full"), std::string::npos);
}

TEST(RunLife, TheFirstCauseStandsWhenThePullOfADeadWorkerFailsToo) {
    Driver d;
    d.add_instance("a");
    d.apply(RemoteEnded{d.run_until_attached("r1", "a"), HostEnd::kHostRebooted, ""});
    d.advance(10min);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kHostRebooted);
}

TEST(RunLife, AWorkerThatLetsALimitPassIsToldToStop) {
    Driver d;
    d.add_instance("a");
    const Ticket attach = d.run_until_attached("r1", "a");
    d.advance(30min + d.state.policy.backstop_margin);
    EXPECT_EQ(d.one<StopRun>().run, RunId{"r1"});
    d.apply(RemoteEnded{attach, HostEnd::kCancelled, ""});
    EXPECT_EQ(d.run("r1").reason, Reason::kWorkerDied);
}

TEST(RunLife, ASilentJobIsLeftAloneWhileItMakesProgress) {
    Driver d;
    d.limits.silence = 1min;
    d.add_instance("a");
    const Ticket attach = d.run_until_attached("r1", "a");
    for (int i = 0; i < 5; ++i) {
        d.advance(2min);
        EXPECT_TRUE(d.all<StopRun>().empty());
        d.apply(Progress{attach, false});
    }
    d.advance(3min);
    EXPECT_EQ(d.all<StopRun>().size(), 1U);
}

TEST(Cancel, BeforeTheLaunchEndsTheRunAndGivesTheInstanceBack) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    const Ticket stage = d.one<Stage>().ticket;
    d.apply(CancelAsked{{"r1"}});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
    const Ticket publish = d.one<Publish>().ticket;
    d.apply(Staged{stage});
    EXPECT_TRUE(d.last.empty()) << "a late answer starts nothing";
    d.apply(Published{publish});
    EXPECT_FALSE(d.state.instances.at({"a"}).lease);
}

TEST(Cancel, DuringTheLaunchWaitsForItsAnswerAndThenStopsTheJob) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    d.apply(Staged{d.one<Stage>().ticket});
    const Ticket launch = d.one<Launch>().ticket;
    d.apply(CancelAsked{{"r1"}});
    EXPECT_TRUE(d.all<Publish>().empty());
    d.apply(Launched{launch});
    EXPECT_EQ(d.one<StopRun>().run, RunId{"r1"});
    d.apply(RemoteEnded{d.one<Attach>().ticket, HostEnd::kCancelled, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
}

TEST(Cancel, WinsAgainstAJobThatFinishesByItself) {
    Driver d;
    d.add_instance("a");
    const Ticket attach = d.run_until_attached("r1", "a");
    d.apply(CancelAsked{{"r1"}});
    d.apply(RemoteEnded{attach, HostEnd::kFinished, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
}

TEST(Cancel, WinsAgainstARetry) {
    Driver d;
    d.add_instance("a");
    const language::Retry retry{.on = {language::FailureClass::kInfra}, .max = 5};
    const Ticket attach = d.run_until_attached("r1", "a", retry);
    d.apply(CancelAsked{{"r1"}});
    d.apply(RemoteEnded{attach, HostEnd::kSupervisorDead, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
}

TEST(Cancel, OfALostRunEndsItAndItsJobIsStoppedBeforeTheInstanceIsUsedAgain) {
    Driver d;
    d.add_instance("a");
    d.run_until_attached("r1", "a");
    d.apply(unreachable("a"));
    d.advance(20s);
    d.apply(CancelAsked{{"r1"}});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
    d.apply(Published{d.one<Publish>().ticket});
    d.submit("r2", "a");
    d.apply(LinkUp{{"a"}, {{{"r1"}, Attempt{1}}}});
    EXPECT_EQ(d.one<StopStray>().run, RunId{"r1"});
    EXPECT_TRUE(d.all<Stage>().empty()) << "the old job may still use the GPU";
    d.apply(StrayGone{{"a"}, {"r1"}, Attempt{1}});
    EXPECT_EQ(d.all<Stage>().size(), 1U);
}

TEST(Cancel, ThatTheHostNeverConfirmsEndsAllTheSame) {
    Driver d;
    d.add_instance("a");
    d.run_until_attached("r1", "a");
    d.apply(CancelAsked{{"r1"}});
    d.advance(d.state.policy.cancel_patience);
    EXPECT_GT(d.all<StopRun>().size(), 3U) << "asked again and again";
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
    EXPECT_EQ(d.one<StopStray>().run, RunId{"r1"});
}

TEST(Cancel, OfAnUnknownOrPublishingRunChangesNothing) {
    Driver d;
    d.submit("r1", "missing");
    d.apply(CancelAsked{{"r1"}});
    EXPECT_TRUE(d.last.empty());
    d.apply(CancelAsked{{"r9"}});
    EXPECT_TRUE(d.last.empty());
}

}  // namespace
}  // namespace nsa::scheduler
