#include "driver.hpp"

namespace nsa::scheduler {
namespace {

TEST(Placement, ARunOnAWarmInstanceIsStagedInTheStepOfItsSubmission) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    EXPECT_EQ(d.one<SaveRun>(), (SaveRun{{"r1"}, RunState::kStaging, Reason::kNone, "", {"a"}}));
    EXPECT_EQ(d.one<Stage>().instance, InstanceName{"a"});
    EXPECT_TRUE(std::holds_alternative<SaveRun>(d.last.front())) << "saves come before acts";
}

TEST(Placement, AnInstanceHoldsOneRunAndTheNextOneWaitsForItByName) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    d.submit("r2", "a");
    EXPECT_EQ(d.shown("r2"), RunState::kQueued);
    EXPECT_EQ(d.one<SaveRun>().message, "waits for instance a to be free");
    EXPECT_TRUE(d.all<Stage>().empty());
}

TEST(Placement, ARunThatNamesNoRegisteredInstanceEndsAndSaysSo) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "b");
    EXPECT_EQ(d.one<Publish>().reason, Reason::kInstanceMissing);
    EXPECT_NE(d.one<Publish>().message.find("no instance \"b\""), std::string::npos);
}

TEST(Placement, AnUnnamedRunTakesAnInstanceWhoseLinkIsUpBeforeOneThatMustConnect) {
    Driver d;
    d.add_instance("a", false);
    d.add_instance("b");
    d.submit("r1");
    EXPECT_EQ(d.run("r1").instance, InstanceName{"b"});
}

TEST(Placement, AnUnnamedRunLeavesAnUnreachableInstanceForAnother) {
    Driver d;
    d.add_instance("a", false);
    d.submit("r1");
    EXPECT_EQ(d.run("r1").instance, InstanceName{"a"});
    d.apply(unreachable("a"));
    EXPECT_EQ(d.shown("r1"), RunState::kQueued);
    EXPECT_EQ(d.one<SaveRun>().message, "waits for an instance: a instance a: no route to host");
    d.add_instance("b");
    EXPECT_EQ(d.run("r1").instance, InstanceName{"b"});
}

TEST(Placement, OnlyAnInstanceThatFitsIsTakenAndAProbeCanMakeItFit) {
    Driver d;
    d.state.mismatch = [](const language::Target& target, const std::map<std::string, std::string>& facts) {
        const auto gpu = facts.find("gpu.0.name");
        return gpu != facts.end() && gpu->second == target.gpu ? std::optional<std::string>{}
                                                               : "has no " + target.gpu;
    };
    d.add_instance("a");
    RunSubmitted run{.run = {"r1"}, .target = {}, .limits = d.limits, .retry = {}};
    run.target.gpu = "A100";
    d.apply(run);
    EXPECT_EQ(d.one<SaveRun>().message, "waits for an instance: a has no A100");
    d.apply(InstanceProbed{{"a"}, {{"gpu.0.name", "A100"}}});
    EXPECT_EQ(d.run("r1").instance, InstanceName{"a"});
}

// Fits hosts whose facts name its GPU.
std::optional<std::string> needs_its_gpu(const language::Target& target,
                                         const std::map<std::string, std::string>& facts) {
    if (target.gpu == "any") return std::nullopt;
    if (facts.empty()) return "was not probed yet";
    if (facts.at("gpu.0.name") == target.gpu) return std::nullopt;
    return "has no " + target.gpu;
}

RunSubmitted on_named(const Driver& d, const std::string& id, const std::string& gpu) {
    RunSubmitted run{.run = {id}, .target = {}, .limits = d.limits, .retry = {}};
    run.target.instance = "a";
    run.target.gpu = gpu;
    return run;
}

TEST(Placement, ARunWhoseNamedInstanceIsNotWhatItAsksForEndsAndSaysWhy) {
    Driver d;
    d.state.mismatch = needs_its_gpu;
    d.add_instance("a");
    d.apply(InstanceProbed{{"a"}, {{"gpu.0.name", "T4"}}});
    d.apply(on_named(d, "r1", "H200"));
    EXPECT_EQ(d.one<Publish>().reason, Reason::kTargetUnmet);
    EXPECT_EQ(d.one<Publish>().message, "instance a, which it names, has no H200");
    RunSubmitted other = on_named(d, "r2", "any");
    other.target.engine = language::EngineKind::kSsh;
    d.apply(other);
    EXPECT_EQ(d.one<Publish>().message, "instance a, which it names, has another engine");
}

TEST(Placement, ANamedInstanceIsProbedBeforeARunThatAsksForItsGpuIsStaged) {
    for (const std::string gpu : {"H200", "T4"}) {
        Driver d;
        d.state.mismatch = needs_its_gpu;
        d.add_instance("a");
        d.apply(on_named(d, "r1", "H200"));
        EXPECT_TRUE(d.all<Stage>().empty());
        EXPECT_EQ(d.one<SaveRun>().message, "waits for the first probe of instance a");
        d.apply(InstanceProbed{{"a"}, {{"gpu.0.name", gpu}}});
        EXPECT_EQ(d.all<Stage>().size(), gpu == "H200" ? 1U : 0U);
        EXPECT_EQ(d.all<Publish>().size(), gpu == "H200" ? 0U : 1U);
    }
}

TEST(Placement, AFreedInstanceIsNotHeldUpByAQueuedRunThatItDoesNotFit) {
    Driver d;
    d.state.mismatch = needs_its_gpu;
    d.add_instance("a");
    d.apply(on_named(d, "r1", "any"));
    const Ticket first = d.attach_from_stage();
    d.apply(on_named(d, "r2", "H200"));
    d.apply(on_named(d, "r3", "any"));
    d.apply(InstanceProbed{{"a"}, {{"gpu.0.name", "T4"}}});
    d.apply(RemoteEnded{first, HostEnd::kFinished, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    d.apply(Published{d.one<Publish>().ticket});
    EXPECT_EQ(d.one<Publish>().reason, Reason::kTargetUnmet);
    EXPECT_EQ(d.run("r3").instance, InstanceName{"a"});
}

TEST(Placement, AFreedInstanceGoesToTheOldestRunThatCanUseIt) {
    Driver d;
    d.add_instance("a");
    const Ticket first = d.run_until_attached("r1", "a");
    d.submit("r2", "a");
    d.submit("r3");
    d.apply(RemoteEnded{first, HostEnd::kFinished, ""});
    d.apply(Collected{d.one<Collect>().ticket});
    d.apply(Published{d.one<Publish>().ticket});
    EXPECT_EQ(d.run("r2").instance, InstanceName{"a"});
    EXPECT_EQ(d.shown("r3"), RunState::kQueued);
    EXPECT_EQ(d.one<Report>().run, RunId{"r1"});
}

TEST(Placement, AQueueLimitEndsTheWait) {
    Driver d;
    d.submit("r1");
    d.advance(59min);
    EXPECT_TRUE(d.all<Publish>().empty());
    d.advance(1min);
    EXPECT_EQ(d.one<Publish>().reason, Reason::kQueueTimeout);
}

TEST(Placement, ARepeatedSubmissionOfAKnownRunChangesNothing) {
    Driver d;
    d.add_instance("a");
    d.submit("r1", "a");
    d.submit("r1", "a");
    EXPECT_TRUE(d.last.empty());
}

}  // namespace
}  // namespace nsa::scheduler
