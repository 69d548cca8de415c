// Publication: all or nothing, once, for the latest attempt.
#include <SQLiteCpp/SQLiteCpp.h>

#include <cmath>

#include "fixture.hpp"

namespace nsa::store {
namespace {

using namespace language;

TEST_F(StoreTest, A_published_result_is_read_back_as_it_was) {
    Store store = open();
    launch(store, "r-1");
    Publication published = a_publication(1);
    published.artifacts_verified = true;
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).artifacts_verified, std::nullopt);
    must(store.publish_result(RunId{"r-1"}, published));
    const RunRow run = must(store.find_run(RunId{"r-1"}));
    EXPECT_EQ(run.state, RunState::kDone);
    EXPECT_EQ(run.status, Status::kFail);
    EXPECT_EQ(run.reason, Reason::kCompleted);
    EXPECT_EQ(run.finished_ms, 9'000);
    EXPECT_EQ(run.artifact_dir, "/artifacts/r-1/1");
    EXPECT_EQ(run.artifacts_verified, true);
    EXPECT_EQ(run.cases[0].verdict, Verdict::kFail);
    EXPECT_EQ(run.cases[1].reason, "needs parity");
    EXPECT_EQ(must(store.artifacts(RunId{"r-1"})), published.artifacts);
    const std::vector<PublishedCase> cases = must(store.judgements(RunId{"r-1"}));
    ASSERT_EQ(cases.size(), 2U);
    EXPECT_EQ(cases[0].judgement, published.cases[0].judgement);
    EXPECT_EQ(cases[1].judgement, published.cases[1].judgement);
}

TEST_F(StoreTest, A_measured_nan_is_not_taken_for_nothing_measured) {
    Store store = open();
    launch(store, "r-1");
    Publication published = a_publication(1);
    published.cases[0].judgement.checks[0].measured = std::nan("");
    CheckResult unmeasured = published.cases[0].judgement.checks[0];
    unmeasured.measured.reset();
    unmeasured.limit.reset();
    published.cases[0].judgement.checks.push_back(unmeasured);
    must(store.publish_result(RunId{"r-1"}, published));
    const std::vector<CheckResult> checks = must(store.judgements(RunId{"r-1"}))[0].judgement.checks;
    ASSERT_EQ(checks.size(), 2U);
    ASSERT_TRUE(checks[0].measured.has_value());
    EXPECT_TRUE(std::isnan(*checks[0].measured));
    EXPECT_FALSE(checks[1].measured.has_value());
    EXPECT_FALSE(checks[1].limit.has_value());
}

TEST_F(StoreTest, A_result_is_published_once) {
    Store store = open();
    launch(store, "r-1");
    must(store.publish_result(RunId{"r-1"}, a_publication(1)));
    Publication better = a_publication(1);
    better.status = Status::kPass;
    Result<std::uint64_t> again = store.publish_result(RunId{"r-1"}, better);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, ErrorCode::kConflict);
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).status, Status::kFail);
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).artifacts_verified, false);
}

// A worker that was only slow must not overwrite the result of its replacement.
TEST_F(StoreTest, The_result_of_a_stale_attempt_is_refused) {
    Store store = open();
    launch(store, "r-1");
    must(store.begin_attempt(RunId{"r-1"}, Attempt{2}, InstanceName{"h200"}, 4'000));
    Result<std::uint64_t> stale = store.publish_result(RunId{"r-1"}, a_publication(1));
    ASSERT_FALSE(stale.has_value());
    EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
    EXPECT_NE(stale.error().text.find("stale"), std::string::npos);
    EXPECT_TRUE(must(store.artifacts(RunId{"r-1"})).empty());
    must(store.publish_result(RunId{"r-1"}, a_publication(2)));
}

TEST_F(StoreTest, A_run_that_never_launched_is_published_for_attempt_zero) {
    Store store = open();
    must(store.submit(a_run("r-1")));
    EXPECT_EQ(store.publish_result(RunId{"r-1"}, a_publication(1)).error().code, ErrorCode::kConflict);
    Publication none = a_publication(0);
    none.status = Status::kCancelled;
    none.reason = Reason::kCancelledByUser;
    must(store.publish_result(RunId{"r-1"}, none));
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).status, Status::kCancelled);
}

TEST_F(StoreTest, A_result_that_lacks_doubles_or_invents_a_case_leaves_nothing_behind) {
    Store store = open();
    launch(store, "r-1");
    Publication lacks = a_publication(1), doubles = a_publication(1), invents = a_publication(1);
    lacks.cases.pop_back();
    doubles.cases[1] = doubles.cases[0];
    invents.cases[1].key = CaseKey{"invented"};
    for (const Publication& bad : {lacks, doubles, invents}) {
        Result<std::uint64_t> refused = store.publish_result(RunId{"r-1"}, bad);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
        EXPECT_TRUE(must(store.artifacts(RunId{"r-1"})).empty());
        EXPECT_TRUE(must(store.judgements(RunId{"r-1"})).empty());
        EXPECT_NE(must(store.find_run(RunId{"r-1"})).state, RunState::kDone);
    }
    must(store.publish_result(RunId{"r-1"}, a_publication(1)));
}

TEST_F(StoreTest, History_and_journal_cannot_be_rewritten_by_anybody) {
    Store store = open();
    launch(store, "r-1");
    must(store.append_events(RunId{"r-1"}, Attempt{1}, a_journal()));
    SQLite::Database plain(file().string(), SQLite::OPEN_READWRITE);
    EXPECT_THROW(plain.exec("UPDATE run_change SET message = 'x'"), SQLite::Exception);
    EXPECT_THROW(plain.exec("DELETE FROM run_change"), SQLite::Exception);
    EXPECT_THROW(plain.exec("UPDATE journal_event SET line = 'x'"), SQLite::Exception);
    EXPECT_THROW(plain.exec("DELETE FROM journal_event"), SQLite::Exception);
}

}  // namespace
}  // namespace nsa::store
