// Nothing is tried for ever in silence: what cannot succeed ends, says why, and leaves nothing behind.
#include "driver.hpp"

namespace nsa::scheduler {
namespace {

const language::Retry kOnce{.on = {language::FailureClass::kInfra}, .max = 1};

Error timed_out() {
    return fail(ErrorCode::kTimeout, "no answer");
}

TEST(Retry, TheSaveThatMakesARunWaitForItsRetrySaysThatItsAttemptIsOver) {
    Driver d;
    d.add_instance("a");
    const Ticket attach = d.run_until_attached("r1", "a", kOnce);
    EXPECT_EQ(d.one<SaveRun>().over, Attempt{0}) << "the attempt is followed";
    d.apply(RemoteEnded{attach, HostEnd::kSupervisorDead, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    const SaveRun waits = d.one<SaveRun>();
    EXPECT_EQ(waits.state, RunState::kStaging) << "its instance was free at once";
    EXPECT_EQ(waits.over, Attempt{1});
    EXPECT_EQ(waits.retries, 1);
    d.apply(Staged{d.one<Stage>().ticket});
    EXPECT_EQ(d.one<SaveIntent>().attempt, Attempt{2});
    for (const SaveRun& save : d.all<SaveRun>())
        EXPECT_EQ(save.over, Attempt{1}) << "the new attempt is not over";
}

TEST(Retry, OneThatNeverBeganAnAttemptIsCountedAcrossARestart) {
    Driver d;
    d.add_instance("a");
    RunRestored waiting;
    waiting.run = {.run = {"r1"}, .target = {}, .limits = d.limits, .retry = kOnce};
    waiting.run.target.instance = "a";
    waiting.saved.retries = 1;
    d.apply(waiting);
    d.apply(ActFailed{d.one<Stage>().ticket, fail(ErrorCode::kRefused, "no tool")});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kDeployFailed) << "the only retry was spent before";
}

TEST(GivingUp, ALaunchThatTheHostNeverAnswersEndsAndAJobItStartedIsAStray) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    d.apply(Staged{d.one<Stage>().ticket});
    Ticket launch = d.one<Launch>().ticket;
    for (int tries = 1; tries < d.state.policy.launch_tries; ++tries) {
        d.apply(ActFailed{launch, timed_out()});
        EXPECT_TRUE(d.all<Publish>().empty()) << tries;
        d.advance(10s);
        launch = d.one<Launch>().ticket;
        EXPECT_EQ(launch.attempt, Attempt{1});
    }
    d.apply(ActFailed{launch, timed_out()});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kDeployFailed);
    EXPECT_NE(d.one<Publish>().message.find("asked 10 times"), std::string::npos);
    EXPECT_EQ(d.one<StopStray>().attempt, Attempt{1});
}

TEST(GivingUp, ASaveThatWasRefusedEndsTheRunAndGivesItsLeaseBack) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    d.apply(ActFailed{d.one<Stage>().ticket, fail(ErrorCode::kConflict, "the instance is leased by run r0")});
    const Publish publish = d.one<Publish>();
    EXPECT_EQ(publish.reason, Reason::kInternal);
    EXPECT_NE(publish.message.find("leased by run r0"), std::string::npos);
    d.apply(Published{publish.ticket});
    EXPECT_FALSE(d.state.instances.at({"a"}).lease);
}

// Up to the act of publishing a run that completed.
Ticket publish_ticket(Driver& d) {
    d.add_instance("a");
    const Ticket attach = d.run_until_attached("r1", "a");
    d.apply(RemoteEnded{attach, HostEnd::kFinished, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    return d.one<Publish>().ticket;
}

TEST(GivingUp, WhatIsStoredAndCannotBeReadIsNotReadAgainForAPublication) {
    Driver d;
    const Ticket publish = publish_ticket(d);
    d.apply(ActFailed{publish, fail(ErrorCode::kCorrupt, "its stored plan cannot be read")});
    d.advance(10s);
    EXPECT_TRUE(d.one<Publish>().bare);
    EXPECT_EQ(d.run("r1").reason, language::Reason::kInternal);
}

TEST(GivingUp, APublicationThatCannotSucceedShowsItsTroubleAndThenRecordsTheEndAlone) {
    Driver d;
    Ticket publish = publish_ticket(d);
    for (int tries = 1; tries <= d.state.policy.publish_tries; ++tries) {
        EXPECT_FALSE(d.run("r1").bare);
        d.apply(ActFailed{publish, fail(ErrorCode::kInternal, "a file cannot be read")});
        if (tries == 1) {
            EXPECT_NE(d.one<SaveRun>().message.find("a file cannot be read"), std::string::npos);
            EXPECT_EQ(d.one<SaveRun>().state, RunState::kCollecting);
        } else {
            EXPECT_TRUE(d.all<SaveRun>().empty()) << "said once";
        }
        d.advance(10s);
        publish = d.one<Publish>().ticket;
    }
    EXPECT_TRUE(d.one<Publish>().bare);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kInternal);
    EXPECT_NE(d.one<Publish>().message.find("a file cannot be read"), std::string::npos);
    d.apply(Published{publish});
    EXPECT_TRUE(d.state.runs.empty());
}

TEST(GivingUp, AFullDiskNeverCostsARunItsResult) {
    Driver d;
    Ticket publish = publish_ticket(d);
    for (int tries = 0; tries < 100; ++tries) {
        d.apply(ActFailed{publish, fail(ErrorCode::kNoSpace, "the disk is full")});
        d.advance(10s);
        publish = d.one<Publish>().ticket;
        EXPECT_FALSE(d.one<Publish>().bare);
    }
}

}  // namespace
}  // namespace nsa::scheduler
