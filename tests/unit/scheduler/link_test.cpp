#include "driver.hpp"

namespace nsa::scheduler {
namespace {

TEST(Link, ARunIsLostOnlyAfterTheGraceAndComesBackWhenTheInstanceAnswers) {
    Driver d;
    d.add_instance("a");
    d.run_until_attached("r1", "a");
    d.apply(unreachable("a"));
    EXPECT_EQ(d.shown("r1"), RunState::kRunning);
    d.advance(d.state.policy.lost_grace);
    EXPECT_EQ(d.shown("r1"), RunState::kLost);
    EXPECT_NE(d.run("r1").message.find("presumed alive"), std::string::npos);
    d.advance(24h * 30);
    EXPECT_EQ(d.shown("r1"), RunState::kLost) << "only evidence moves it out";
    d.apply(LinkUp{{"a"}, {{{"r1"}, Attempt{1}}}});
    EXPECT_EQ(d.one<SaveRun>().state, RunState::kRunning);
    EXPECT_EQ(d.one<Attach>().ticket.attempt, Attempt{1});
    EXPECT_TRUE(d.all<StopStray>().empty());
}

TEST(Link, AShortCutIsNotShown) {
    Driver d;
    d.add_instance("a");
    d.run_until_attached("r1", "a");
    d.apply(unreachable("a"));
    d.advance(2s);
    d.apply(LinkUp{{"a"}, {}});
    EXPECT_TRUE(d.all<SaveRun>().empty());
    d.advance(1min);
    EXPECT_EQ(d.shown("r1"), RunState::kRunning);
}

TEST(Link, IsTriedAgainAfterGrowingWaits) {
    Driver d;
    d.add_instance("a", false);
    std::vector<Duration> waits;
    for (int i = 0; i < 8; ++i) {
        d.apply(LinkDown{{"a"}, Reason::kHostUnreachable, "no route", 0.5});
        const Instant due = *next_deadline(d.state);
        waits.push_back(std::chrono::duration_cast<Duration>(due - d.now));
        d.advance(waits.back());
        EXPECT_EQ(d.one<Connect>().instance, InstanceName{"a"});
    }
    EXPECT_EQ(waits.front(), 1s);
    EXPECT_TRUE(std::is_sorted(waits.begin(), waits.end()));
    EXPECT_GT(waits.back(), 30s);
}

TEST(Link, ARefusedKeyEndsTheRunThatNamesTheInstanceAndIsNotTriedAgain) {
    for (const Reason reason : {Reason::kHostKeyRefused, Reason::kAuthRefused}) {
        Driver d;
        d.add_instance("a", false);
        d.submit("r1", "a");
        d.apply(LinkDown{{"a"}, reason, "refused", 0.5});
        EXPECT_EQ(d.one<Publish>().reason, reason);
        d.apply(Published{d.one<Publish>().ticket});
        d.advance(24h);
        EXPECT_TRUE(d.all<Connect>().empty());
        d.submit("r2", "a");
        EXPECT_EQ(d.all<Connect>().size(), 1U) << "a new run tries once: the person may have mended it";
    }
}

TEST(Link, ADeadHostEndsTheRunAtTheProvisionLimitWithTheHostsReason) {
    Driver d;
    d.add_instance("a", false);
    d.submit("r1", "a");
    d.apply(unreachable("a"));
    EXPECT_EQ(d.shown("r1"), RunState::kProvisioning);
    EXPECT_EQ(d.one<SaveRun>().message, "instance a: no route to host");
    d.advance(10min);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kHostUnreachable);
}

TEST(Link, AConnectThatNeverAnswersIsAProvisionTimeout) {
    Driver d;
    d.add_instance("a", false);
    d.submit("r1", "a");
    d.advance(10min);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kProvisionTimeout);
}

TEST(Link, APullGoesOnWhenTheLinkIsBackAndEndsAtItsLimitOtherwise) {
    Driver d;
    d.add_instance("a");
    d.apply(RemoteEnded{d.run_until_attached("r1", "a"), HostEnd::kFinished, ""});
    d.apply(unreachable("a"));
    d.apply(LinkUp{{"a"}, {}});
    EXPECT_EQ(d.all<Collect>().size(), 1U);
    d.apply(unreachable("a"));
    d.advance(10min);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kPullTimeout);
}

TEST(Link, RegisteringAnInstanceAnewConnectsAnewAndKeepsItsRun) {
    Driver d;
    d.add_instance("a");
    d.run_until_attached("r1", "a");
    d.apply(InstanceKnown{{"a"}, language::EngineKind::kSsh, {}});
    EXPECT_EQ(d.one<Connect>().instance, InstanceName{"a"});
    d.apply(LinkUp{{"a"}, {{{"r1"}, Attempt{1}}}});
    EXPECT_EQ(d.all<Attach>().size(), 1U);
}

TEST(Link, AnInstanceThatIsConnectedOnDemandIsConnectedByItsFirstRun) {
    Driver d;
    d.apply(InstanceKnown{{"a"}, language::EngineKind::kSsh, {}, false});
    EXPECT_TRUE(d.all<Connect>().empty());
    d.submit("r1", "a");
    EXPECT_EQ(d.one<Connect>().instance, InstanceName{"a"});
}

TEST(Link, AJobThatWasSupersededByARetryIsAStray) {
    Driver d;
    d.add_instance("a");
    const language::Retry retry{.on = {language::FailureClass::kInfra}, .max = 1};
    d.apply(RemoteEnded{d.run_until_attached("r1", "a", retry), HostEnd::kSupervisorDead, ""});
    d.apply(unreachable("a"));
    d.advance(10min);  // the pull ends, the retry waits for the link
    d.apply(LinkUp{{"a"}, {{{"r1"}, Attempt{1}}}});
    EXPECT_EQ(d.one<StopStray>().attempt, Attempt{1});
    EXPECT_TRUE(d.all<Stage>().empty());
}

// The same host registered under a second name lists the run that the first name holds.
TEST(Link, ARunThatIsAliveUnderAnotherNameOfItsHostIsLeftAlone) {
    Driver d;
    d.add_instance("a");
    d.run_until_attached("r1", "a");
    d.add_instance("b", false);
    d.apply(LinkUp{{"b"}, {{{"r1"}, Attempt{1}}}});
    EXPECT_TRUE(d.all<StopStray>().empty());
    EXPECT_EQ(state_of(d.run("r1")), RunState::kRunning);
}

}  // namespace
}  // namespace nsa::scheduler
