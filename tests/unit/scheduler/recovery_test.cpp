#include <ctime>

#include "driver.hpp"

namespace nsa::scheduler {
namespace {

struct Row {
    Stored stored = Stored::kNotBegun;
    RunState state = RunState::kQueued;
    bool cancel_asked = false;
};

RunRestored row(const Driver& d, const Row& row) {
    RunRestored event;
    event.run = {.run = {"r1"}, .target = {}, .limits = d.limits, .retry = {}};
    event.run.target.instance = "a";
    event.stored = row.stored;
    event.attempt = Attempt{row.stored == Stored::kNotBegun ? 0 : 1};
    event.instance = {row.stored == Stored::kNotBegun ? "" : "a"};
    event.cancel_asked = row.cancel_asked;
    event.saved = {.state = row.state, .reason = Reason::kNone, .message = "", .lease = event.instance};
    return event;
}

TEST(Recovery, ARunningJobIsLostUntilItsInstanceAnswersAndThenFollowedNotLaunched) {
    Driver d;
    d.add_instance("a", false);
    d.apply(row(d, {Stored::kLaunched, RunState::kRunning}));
    EXPECT_EQ(d.one<SaveRun>().state, RunState::kLost);
    d.apply(LinkUp{{"a"}, {{{"r1"}, Attempt{1}}}});
    EXPECT_EQ(d.one<SaveRun>().state, RunState::kRunning);
    EXPECT_EQ(d.one<Attach>().ticket.attempt, Attempt{1});
    EXPECT_TRUE(d.all<Launch>().empty());
}

TEST(Recovery, AnIntentIsLaunchedAgainWithTheSameAttempt) {
    Driver d;
    d.add_instance("a", false);
    d.apply(row(d, {Stored::kIntent, RunState::kStaging}));
    EXPECT_EQ(d.shown("r1"), RunState::kLost);
    d.apply(LinkUp{{"a"}, {}});
    EXPECT_EQ(d.one<Launch>().ticket.attempt, Attempt{1});
    EXPECT_TRUE(d.all<SaveIntent>().empty());
}

TEST(Recovery, AnIntentThatWasCancelledIsOnlyLookedAt) {
    Driver d;
    d.add_instance("a", false);
    d.apply(row(d, {Stored::kIntent, RunState::kStaging, true}));
    d.apply(LinkUp{{"a"}, {}});
    EXPECT_TRUE(d.all<Launch>().empty());
    d.apply(RemoteEnded{d.one<Attach>().ticket, HostEnd::kUnknownRun, ""});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
    EXPECT_TRUE(d.all<StopStray>().empty());
}

TEST(Recovery, AQueuedRunIsPlacedAndNothingIsWrittenForOneThatStillWaits) {
    Driver d;
    d.add_instance("a");
    d.submit("r0", "a");
    RunRestored waiting = row(d, {});
    waiting.saved.message = "waits for instance a to be free";
    d.apply(waiting);
    EXPECT_TRUE(d.last.empty());
}

TEST(Recovery, ACancelledQueuedRunEnds) {
    Driver d;
    d.add_instance("a");
    d.apply(row(d, {Stored::kNotBegun, RunState::kQueued, true}));
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
}

// Its row holds the lease until its end is recorded: given to the next one before that, the store would
// refuse.
TEST(Recovery, ARunThatEndsBeforeItBeganKeepsItsInstanceUntilThatIsRecorded) {
    for (const bool damaged : {false, true}) {
        Driver d;
        d.add_instance("a");
        RunRestored ends = row(d, {Stored::kNotBegun, RunState::kStaging, !damaged});
        ends.saved.lease = {"a"};
        if (damaged) ends.unreadable = "no JSON";
        d.apply(ends);
        const Publish publish = d.one<Publish>();
        RunRestored waits = row(d, {});
        waits.run.run = {"r2"};
        d.apply(waits);
        EXPECT_EQ(d.shown("r2"), RunState::kQueued);
        EXPECT_TRUE(d.all<Stage>().empty());
        d.apply(Published{publish.ticket});
        EXPECT_EQ(d.one<Stage>().ticket.run, RunId{"r2"});
    }
}

TEST(Recovery, ARunThatHadBeenGivenAnInstanceGetsThatOneAgain) {
    Driver d;
    d.add_instance("a");
    d.add_instance("b");
    RunRestored given = row(d, {Stored::kNotBegun, RunState::kStaging});
    given.run.target.instance.clear();
    given.saved.lease = {"b"};
    d.apply(given);
    EXPECT_EQ(d.one<Stage>().instance, InstanceName{"b"});
}

TEST(Recovery, ACancelledRunOfADeadHostEndsAfterThePatience) {
    Driver d;
    d.add_instance("a", false);
    d.apply(row(d, {Stored::kLaunched, RunState::kRunning, true}));
    d.apply(unreachable("a"));
    d.advance(d.state.policy.cancel_patience);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kCancelledByUser);
}

TEST(Recovery, AnAttemptOfAnInstanceThatIsGoneEndsAndSaysSo) {
    Driver d;
    d.apply(row(d, {Stored::kLaunched, RunState::kRunning}));
    EXPECT_EQ(d.one<Publish>().reason, Reason::kInstanceMissing);
}

TEST(Recovery, ARunWhosePlanCannotBeReadEndsWhereverItWasAndKeepsNoLease) {
    for (const Stored stored : {Stored::kNotBegun, Stored::kIntent, Stored::kLaunched}) {
        Driver d;
        d.add_instance("a", false);
        RunRestored damaged = row(d, {stored, RunState::kRunning});
        damaged.unreadable = "its stored plan cannot be read: no JSON";
        d.apply(damaged);
        const Publish publish = d.one<Publish>();
        EXPECT_EQ(publish.reason, Reason::kInternal);
        EXPECT_EQ(publish.message, damaged.unreadable);
        EXPECT_TRUE(publish.bare) << "without its plan nothing can be judged";
        d.apply(CancelAsked{{"r1"}});
        d.apply(Published{publish.ticket});
        EXPECT_TRUE(d.state.runs.empty());
        EXPECT_FALSE(d.state.instances.at({"a"}).lease);
        d.apply(LinkUp{{"a"}, {{{"r1"}, Attempt{1}}}});
        EXPECT_EQ(d.all<StopStray>().size(), 1U) << "a job that is alive all the same is ended";
    }
}

TEST(Recovery, TenThousandQueuedRunsAreTakenInQuickly) {
    Driver d;
    d.add_instance("a");
    d.submit("r0", "a");
    const std::clock_t begin = std::clock();  // processor time: a busy machine fails nothing
    RunRestored waiting = row(d, {});
    for (int i = 0; i < 10'000; ++i) {
        waiting.run.run = {"q" + std::to_string(i)};
        d.apply(waiting);
    }
    EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 2);
    EXPECT_EQ(d.state.runs.size(), 10'001U);
}

}  // namespace
}  // namespace nsa::scheduler
