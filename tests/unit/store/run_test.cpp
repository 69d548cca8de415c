// Submission, state, leases, cancel, attempts.
#include "fixture.hpp"

namespace nsa::store {
namespace {

using language::Reason;
using language::RunState;

TEST_F(StoreTest, A_submitted_run_is_queued_with_all_its_cases_waiting) {
    Store store = open();
    EXPECT_EQ(must(store.submit(a_run("r-1"))).existed, false);
    const RunRow run = must(store.find_run(RunId{"r-1"}));
    EXPECT_EQ(run.state, RunState::kQueued);
    EXPECT_EQ(run.version, 1U);
    EXPECT_FALSE(run.attempt.has_value());
    ASSERT_EQ(run.cases.size(), 2U);
    EXPECT_EQ(run.cases[0].key.value, "parity");
    EXPECT_EQ(run.cases[1].state, CaseState::kWaiting);
    const RunDocuments documents = must(store.documents(RunId{"r-1"}));
    EXPECT_EQ(documents.spec_yaml, a_run("r-1").spec_yaml);
    EXPECT_EQ(documents.plan_json, a_run("r-1").plan_json);
}

TEST_F(StoreTest, The_same_key_and_body_is_the_same_run) {
    Store store = open();
    must(store.submit(a_run("r-1", "key")));
    const Submitted again = must(store.submit(a_run("r-2", "key")));
    EXPECT_TRUE(again.existed);
    EXPECT_EQ(again.run.value, "r-1");
    EXPECT_EQ(must(store.list_runs(10)).size(), 1U);
}

TEST_F(StoreTest, The_same_key_with_another_body_is_a_conflict_that_names_the_run) {
    Store store = open();
    must(store.submit(a_run("r-1", "key")));
    NewRun other = a_run("r-2", "key");
    other.requested_instance = InstanceName{"a100"};
    Result<Submitted> refused = store.submit(other);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
    EXPECT_NE(refused.error().text.find("r-1"), std::string::npos);
}

TEST_F(StoreTest, The_same_key_with_another_working_tree_is_a_conflict_and_the_same_files_are_the_same_run) {
    language::Plan plan;
    const auto run_of = [&plan](const std::string& id) {
        NewRun run = new_run(RunId{id}, plan, "version: 1\n", "spec.yaml", 1);
        run.idempotency_key = "key";
        return run;
    };
    Store store = open();
    plan.working_tree = language::WorkingTree{"c0ffee", 2, "7ee5"};
    must(store.submit(run_of("r-1")));
    plan.working_tree->tree = "7ee6";
    const Result<Submitted> refused = store.submit(run_of("r-2"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
    EXPECT_NE(refused.error().text.find("another spec, instance or working tree"), std::string::npos);
    plan.working_tree = language::WorkingTree{"c0ffef", 0, "7ee5"};  // committed meanwhile
    EXPECT_EQ(must(store.submit(run_of("r-3"))).run.value, "r-1");
}

TEST_F(StoreTest, A_taken_run_id_is_a_conflict) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    Result<Submitted> refused = store.submit(a_run("r-1"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
}

TEST_F(StoreTest, Runs_are_listed_newest_first_and_only_active_ones_are_loaded) {
    Store store = open();
    launch(store, "r-1");
    must(store.submit(a_run("r-2")));
    must(store.publish_result(RunId{"r-1"}, a_publication(1)));
    const std::vector<RunRow> all = must(store.list_runs(10));
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].run.value, "r-2");
    EXPECT_EQ(must(store.list_runs(1)).size(), 1U);
    const std::vector<RunRow> active = must(store.load_active_runs());
    ASSERT_EQ(active.size(), 1U);
    EXPECT_EQ(active[0].run.value, "r-2");
}

TEST_F(StoreTest, An_unknown_run_is_not_found_everywhere) {
    Store store = open();
    const RunId unknown{"r-none"};
    EXPECT_EQ(store.find_run(unknown).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(store.documents(unknown).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(store.history(unknown).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(store.request_cancel(unknown, 1).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(store.append_events(unknown, Attempt{1}, "").error().code, ErrorCode::kNotFound);
    EXPECT_EQ(store.publish_result(unknown, a_publication(0)).error().code, ErrorCode::kNotFound);
}

TEST_F(StoreTest, Every_change_grows_the_version_and_stands_in_the_history) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    RunChange lost;
    lost.state = RunState::kLost;
    lost.reason = Reason::kHostUnreachable;
    lost.message = "the link to h200 is gone";
    lost.at_ms = 3'000;
    EXPECT_EQ(must(store.set_run_state(RunId{"r-1"}, lost)), 2U);
    EXPECT_EQ(must(store.request_cancel(RunId{"r-1"}, 3'500)), 3U);
    EXPECT_EQ(must(store.request_cancel(RunId{"r-1"}, 3'600)), 3U);
    const std::vector<ChangeRow> history = must(store.history(RunId{"r-1"}));
    ASSERT_EQ(history.size(), 3U);
    EXPECT_EQ(history[0].what, "submitted");
    EXPECT_EQ(history[1], (ChangeRow{2, 3'000, "state", RunState::kLost, Reason::kHostUnreachable, 0,
                                     "the link to h200 is gone"}));
    EXPECT_EQ(history[2].what, "cancel_requested");
    EXPECT_TRUE(must(store.find_run(RunId{"r-1"})).cancel_requested);
}

TEST_F(StoreTest, A_batch_keeps_what_was_accepted_and_nothing_of_what_was_refused) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    must(store.submit(a_run("r-2")));
    RunChange leased;
    leased.state = language::RunState::kProvisioning;
    leased.lease = InstanceName{"h200"};
    ErrorCode second = ErrorCode::kInternal;
    must(store.together([&]() -> Result<void> {
        must(store.set_run_state(RunId{"r-1"}, leased));
        second = store.set_run_state(RunId{"r-2"}, leased).error().code;
        must(store.begin_attempt(RunId{"r-1"}, Attempt{1}, InstanceName{"h200"}, 2'000));
        return {};
    }));
    EXPECT_EQ(second, ErrorCode::kConflict) << "the instance is taken, in the same batch";
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).attempt->attempt, Attempt{1});
    EXPECT_EQ(must(store.find_run(RunId{"r-2"})).state, language::RunState::kQueued);
}

TEST_F(StoreTest, A_row_that_a_constraint_refuses_takes_back_what_stood_before_it_in_a_batch) {
    Store store = open();
    for (const char* run : {"r-1", "r-2"}) {
        must(store.submit(a_run(run)));
        RunChange leased;
        leased.state = language::RunState::kProvisioning;
        leased.lease = InstanceName{std::string("host-of-") + run};
        must(store.set_run_state(RunId{run}, leased));
    }
    ErrorCode refused = ErrorCode::kInternal;
    must(store.together([&]() -> Result<void> {
        // The attempt's row is written before the lease of the other run is in the way.
        refused =
            store.begin_attempt(RunId{"r-2"}, Attempt{1}, InstanceName{"host-of-r-1"}, 2'000).error().code;
        must(store.request_cancel(RunId{"r-1"}, 2'000));
        return {};
    }));
    EXPECT_EQ(refused, ErrorCode::kConflict);
    EXPECT_TRUE(must(store.attempts(RunId{"r-2"})).empty());
    EXPECT_TRUE(must(store.find_run(RunId{"r-1"})).cancel_requested) << "the others stand";
}

TEST_F(StoreTest, A_batch_that_fails_never_happened) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    const Result<void> failed = store.together([&]() -> Result<void> {
        must(store.request_cancel(RunId{"r-1"}, 5));
        return fail(ErrorCode::kNoSpace, "the disk is full");
    });
    EXPECT_EQ(failed.error().code, ErrorCode::kNoSpace);
    EXPECT_FALSE(must(store.find_run(RunId{"r-1"})).cancel_requested);
    must(store.request_cancel(RunId{"r-1"}, 6));
    EXPECT_TRUE(must(store.find_run(RunId{"r-1"})).cancel_requested) << "and the store goes on";
}

TEST_F(StoreTest, What_is_over_and_the_retries_spent_never_go_back) {
    Store store = open();
    launch(store, "r-1");
    RunChange change;
    change.state = language::RunState::kStaging;
    change.attempts_over = Attempt{1};
    change.retries = 1;
    must(store.set_run_state(RunId{"r-1"}, change));
    change.attempts_over = Attempt{0};
    change.retries = 0;
    must(store.set_run_state(RunId{"r-1"}, change));
    const RunRow row = must(store.find_run(RunId{"r-1"}));
    EXPECT_EQ(row.attempts_over, Attempt{1});
    EXPECT_EQ(row.retries, 1);
}

TEST_F(StoreTest, A_failed_try_is_recorded_once_by_the_change_that_spends_its_retry) {
    Store store = open();
    launch(store, "r-1");
    RunChange change;
    change.retries = 1;
    change.failed = FailedTry{1, Attempt{1}, InstanceName{"h200"}, Reason::kWorkerDied, "it died", 0};
    change.at_ms = 3'000;
    must(store.set_run_state(RunId{"r-1"}, change));
    change.at_ms = 4'000;  // the same retry, in a later state
    must(store.set_run_state(RunId{"r-1"}, change));
    change.retries = 2;
    change.failed = FailedTry{2, Attempt{0}, InstanceName{}, Reason::kQueueTimeout, "", 0};
    must(store.set_run_state(RunId{"r-1"}, change));
    const std::vector<FailedTry> tries = must(store.failed_tries(RunId{"r-1"}));
    ASSERT_EQ(tries.size(), 2U);
    EXPECT_EQ(tries[0],
              (FailedTry{1, Attempt{1}, InstanceName{"h200"}, Reason::kWorkerDied, "it died", 3'000}));
    EXPECT_EQ(tries[1], (FailedTry{2, Attempt{0}, InstanceName{}, Reason::kQueueTimeout, "", 4'000}));
}

TEST_F(StoreTest, An_instance_is_leased_to_one_run_at_a_time) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    must(store.submit(a_run("r-2")));
    RunChange take;
    take.state = RunState::kProvisioning;
    take.lease = InstanceName{"h200"};
    must(store.set_run_state(RunId{"r-1"}, take));
    Result<std::uint64_t> second = store.set_run_state(RunId{"r-2"}, take);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, ErrorCode::kConflict);
    EXPECT_NE(second.error().text.find("r-1"), std::string::npos);
    EXPECT_EQ(must(store.find_run(RunId{"r-2"})).state, RunState::kQueued);

    RunChange back;
    back.state = RunState::kQueued;
    must(store.set_run_state(RunId{"r-1"}, back));
    EXPECT_FALSE(must(store.find_run(RunId{"r-1"})).holds_lease);
    must(store.set_run_state(RunId{"r-2"}, take));
    EXPECT_TRUE(must(store.find_run(RunId{"r-2"})).holds_lease);
}

TEST_F(StoreTest, A_published_result_gives_the_lease_back) {
    Store store = open();
    launch(store, "r-1");
    RunChange take;
    take.state = RunState::kRunning;
    take.lease = InstanceName{"h200"};
    must(store.set_run_state(RunId{"r-1"}, take));
    must(store.publish_result(RunId{"r-1"}, a_publication(1)));
    must(store.submit(a_run("r-2")));
    must(store.set_run_state(RunId{"r-2"}, take));
}

TEST_F(StoreTest, A_done_run_changes_no_more) {
    Store store = open();
    launch(store, "r-1");
    must(store.publish_result(RunId{"r-1"}, a_publication(1)));
    EXPECT_EQ(store.set_run_state(RunId{"r-1"}, {}).error().code, ErrorCode::kConflict);
    EXPECT_EQ(store.request_cancel(RunId{"r-1"}, 1).error().code, ErrorCode::kConflict);
    EXPECT_EQ(store.begin_attempt(RunId{"r-1"}, Attempt{2}, InstanceName{"x"}, 1).error().code,
              ErrorCode::kConflict);
    EXPECT_EQ(store.append_events(RunId{"r-1"}, Attempt{1}, a_journal()).error().code, ErrorCode::kConflict);
}

TEST_F(StoreTest, Only_a_published_result_makes_a_run_done) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    RunChange done;
    done.state = RunState::kDone;
    EXPECT_EQ(store.set_run_state(RunId{"r-1"}, done).error().code, ErrorCode::kConflict);
}

TEST_F(StoreTest, The_intent_is_launching_until_the_worker_answers) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    must(store.begin_attempt(RunId{"r-1"}, Attempt{1}, InstanceName{"h200"}, 2'000));
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).attempt->state, AttemptState::kLaunching);
    must(store.record_launch(RunId{"r-1"}, Attempt{1}, {77, 1234, "boot-1", 2'100}));
    must(store.record_launch(RunId{"r-1"}, Attempt{1}, {77, 1234, "boot-1", 2'200}));
    const RunRow run = must(store.find_run(RunId{"r-1"}));
    EXPECT_EQ(run.attempt->state, AttemptState::kLaunched);
    EXPECT_EQ(run.attempt->start_ticks, 1234U);
    EXPECT_EQ(run.started_ms, 2'000);
    EXPECT_EQ(must(store.history(RunId{"r-1"})).size(), 3U);
}

TEST_F(StoreTest, An_attempt_is_begun_once_and_in_order) {
    Store store = open();
    launch(store, "r-1");
    for (int wrong : {0, 1, 3}) {
        Result<void> refused = store.begin_attempt(RunId{"r-1"}, Attempt{wrong}, InstanceName{"h200"}, 2'500);
        ASSERT_FALSE(refused.has_value()) << wrong;
        EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
    }
    must(store.begin_attempt(RunId{"r-1"}, Attempt{2}, InstanceName{"a100"}, 2'500));
    EXPECT_EQ(must(store.attempts(RunId{"r-1"})).size(), 2U);
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).instance.value, "a100");
}

}  // namespace
}  // namespace nsa::store
