// What a start reads of the runs that it takes over.
#include "daemon/adoption.hpp"

#include <gtest/gtest.h>

#include "language/event.hpp"
#include "language/stop_times.hpp"
#include "support/temp_dir.hpp"

namespace nsa::daemon {
namespace {

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

struct Adoption : testing::Test {
    test::TempDir dir;
    store::Store store = must(store::Store::open(dir / "nsa.db"));

    static store::NewRun run_with_setup(const char* id) {
        language::Plan plan;
        plan.name = "campaign";
        plan.setup.resize(1);
        plan.setup[0].argv = {"/bin/true"};
        plan.cases.resize(1);
        plan.cases[0].key = {"s"};
        plan.cases[0].timeout = std::chrono::minutes(3);
        return store::new_run({id}, plan, "", "test.yaml", 1);
    }
    void launch(const char* id) {
        must(store.submit(run_with_setup(id)));
        must(store.begin_attempt({id}, Attempt{1}, {"a"}, 2));
        must(store.record_launch({id}, Attempt{1}, {77, 1, "boot", 3}));
        store::RunChange running;
        running.state = language::RunState::kRunning;
        must(store.set_run_state({id}, running));
    }
    scheduler::RunRestored only() {
        const std::vector<scheduler::RunRestored> events = must(runs_to_adopt(store));
        EXPECT_EQ(events.size(), 1U);
        return events.at(0);
    }
};

TEST_F(Adoption, OfARunThatWaitsReadsItsOutlineAlone) {
    store::NewRun run = run_with_setup("r-1");
    run.plan_json = "{\"version\": 1, ";
    must(store.submit(run));
    EXPECT_EQ(only().unreadable, "");
    EXPECT_EQ(only().run.limits.run, std::chrono::minutes(3) + language::kLongestStop);
}

TEST_F(Adoption, OfARunThatAnOlderProgramTookReadsThePlan) {
    store::NewRun run = run_with_setup("r-1");
    run.outline_json.clear();
    must(store.submit(run));
    EXPECT_EQ(only().run.limits.run, std::chrono::minutes(3) + language::kLongestStop);
}

TEST_F(Adoption, OfARunThatBeganSeesWhetherItsSetupIsOver) {
    using namespace language;
    launch("r-1");
    EXPECT_TRUE(only().in_setup);
    const std::string journal = to_line({1, 5, RunStarted{77, 1, "boot", "host", "0.1.0"}}) +
                                to_line({2, 6, CaseStarted{CaseKey{"s"}, 78, {"/bin/true"}}});
    must(store.append_events({"r-1"}, Attempt{1}, journal));
    EXPECT_FALSE(only().in_setup);
}

}  // namespace
}  // namespace nsa::daemon
