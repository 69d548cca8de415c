// Replication of journals and what it projects.
#include <cmath>

#include "fixture.hpp"

namespace nsa::store {
namespace {

using namespace language;

TEST_F(StoreTest, A_journal_becomes_rows) {
    Store store = open();
    launch(store, "r-1");
    const Appended appended = must(store.append_events(RunId{"r-1"}, Attempt{1}, a_journal()));
    EXPECT_EQ(appended.last_seq, 8U);
    EXPECT_EQ(appended.fresh.size(), 8U);
    const RunRow run = must(store.find_run(RunId{"r-1"}));
    EXPECT_EQ(run.version, appended.version);
    EXPECT_EQ(run.cases[0].state, CaseState::kFinished);
    EXPECT_EQ(run.cases[0].seconds, 2.5);
    EXPECT_EQ(run.cases[0].stderr_bytes, 20U);
    EXPECT_EQ(run.cases[1].state, CaseState::kBlocked);
    EXPECT_EQ(run.attempt->state, AttemptState::kEnded);
    ASSERT_TRUE(run.attempt->finished.has_value());
    EXPECT_EQ(run.attempt->finished->files, 3U);

    const std::vector<StoredOutcome> outcomes = must(store.outcomes(RunId{"r-1"}, Attempt{1}));
    ASSERT_EQ(outcomes.size(), 2U);
    const CaseOutcome& parity = outcomes[0].outcome;
    EXPECT_EQ(outcomes[0].argv, (std::vector<std::string>{"/opt/nsa-core", "parity"}));
    ASSERT_EQ(parity.records.size(), 3U);
    EXPECT_EQ(std::get<Measurement>(parity.records[0]).value, 0.5);
    EXPECT_EQ(std::get<Fact>(parity.records[1]).value, "sdpa");
    EXPECT_EQ(std::get<Measurement>(parity.records[2]).labels.at("branch"), "sliding");
    EXPECT_EQ(parity.record_errors, std::vector<std::string>{"line 4: not JSON"});
    EXPECT_EQ(parity.end->exit_code, 1);
    EXPECT_EQ(outcomes[1].outcome.blocked_by->value, "parity");
    EXPECT_FALSE(outcomes[1].outcome.end.has_value());

    EXPECT_EQ(must(store.host_facts(RunId{"r-1"}, Attempt{1})).at("gpu.0.name"), "NVIDIA H200");
    const std::vector<SetupRow> setup = must(store.setup_results(RunId{"r-1"}, Attempt{1}));
    ASSERT_EQ(setup.size(), 1U);
    EXPECT_EQ(setup[0].title, "build nsa-core");
    EXPECT_EQ(setup[0].seconds, 1.5);
}

TEST_F(StoreTest, Events_that_are_here_already_change_nothing) {
    Store store = open();
    launch(store, "r-1");
    const Appended first = must(store.append_events(RunId{"r-1"}, Attempt{1}, a_journal()));
    const Appended again = must(store.append_events(RunId{"r-1"}, Attempt{1}, a_journal()));
    EXPECT_EQ(again.last_seq, 8U);
    EXPECT_TRUE(again.fresh.empty());
    EXPECT_EQ(again.version, first.version);
    EXPECT_EQ(must(store.outcomes(RunId{"r-1"}, Attempt{1}))[0].outcome.records.size(), 3U);
}

TEST_F(StoreTest, An_overlapping_replay_keeps_only_the_new_events) {
    Store store = open();
    launch(store, "r-1");
    const std::string journal = a_journal();
    std::size_t third_end = 0;
    for (int i = 0; i < 3; ++i)
        third_end = journal.find('\n', third_end) + 1;
    must(store.append_events(RunId{"r-1"}, Attempt{1}, journal.substr(0, third_end)));
    const Appended rest = must(store.append_events(RunId{"r-1"}, Attempt{1}, journal));
    EXPECT_EQ(rest.fresh.size(), 5U);
    EXPECT_EQ(rest.fresh.front().seq, 4U);
}

TEST_F(StoreTest, A_gap_is_refused_and_nothing_of_the_batch_is_kept) {
    Store store = open();
    launch(store, "r-1");
    const std::string gap = line(1, HostProbed{{{"a", "1"}}}) + line(3, HostProbed{{{"b", "2"}}});
    Result<Appended> refused = store.append_events(RunId{"r-1"}, Attempt{1}, gap);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kProtocol);
    EXPECT_EQ(must(store.attempts(RunId{"r-1"}))[0].last_seq, 0U);
    EXPECT_TRUE(must(store.host_facts(RunId{"r-1"}, Attempt{1})).empty());
}

TEST_F(StoreTest, A_line_that_is_cut_or_no_event_or_of_an_unknown_case_is_refused) {
    Store store = open();
    launch(store, "r-1");
    const std::string whole = line(1, HostProbed{{{"a", "1"}}});
    const std::string stranger = line(1, CaseStarted{CaseKey{"stranger"}, 1, {"x"}});
    for (const std::string& bad :
         {whole.substr(0, whole.size() - 1), std::string("{\"seq\":1}\n"), std::string("\n"), stranger}) {
        Result<Appended> refused = store.append_events(RunId{"r-1"}, Attempt{1}, bad);
        ASSERT_FALSE(refused.has_value()) << bad;
        EXPECT_EQ(refused.error().code, ErrorCode::kProtocol) << bad;
    }
}

TEST_F(StoreTest, Events_of_a_stale_attempt_are_refused_and_the_old_ones_stay_readable) {
    Store store = open();
    launch(store, "r-1");
    must(store.append_events(RunId{"r-1"}, Attempt{1}, a_journal()));
    must(store.begin_attempt(RunId{"r-1"}, Attempt{2}, InstanceName{"h200"}, 4'000));
    Result<Appended> stale =
        store.append_events(RunId{"r-1"}, Attempt{1}, line(9, HostProbed{{{"late", "1"}}}));
    ASSERT_FALSE(stale.has_value());
    EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
    EXPECT_EQ(store.record_launch(RunId{"r-1"}, Attempt{1}, {}).error().code, ErrorCode::kConflict);
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).cases[0].state, CaseState::kWaiting);
    EXPECT_EQ(must(store.outcomes(RunId{"r-1"}, Attempt{1}))[0].outcome.records.size(), 3U);
    EXPECT_TRUE(must(store.outcomes(RunId{"r-1"}, Attempt{2}))[0].outcome.records.empty());
}

TEST_F(StoreTest, Numbers_survive_their_trip_to_the_last_bit) {
    Store store = open();
    launch(store, "r-1");
    const std::vector<double> values = {0.1,  1.0 / 3,      5e-324,   1.7976931348623157e308,
                                        -0.0, std::nan(""), HUGE_VAL, -HUGE_VAL};
    CaseRecords chunk{CaseKey{"parity"}, {}, {}};
    for (std::size_t i = 0; i < values.size(); ++i)
        chunk.records.push_back(Measurement{"x", values[i], "1", {}, static_cast<int>(i)});
    must(store.append_events(RunId{"r-1"}, Attempt{1}, line(1, chunk)));
    const std::vector<Record> records = must(store.outcomes(RunId{"r-1"}, Attempt{1}))[0].outcome.records;
    ASSERT_EQ(records.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double read = std::get<Measurement>(records[i]).value;
        if (std::isnan(values[i])) {
            EXPECT_TRUE(std::isnan(read));
        } else {
            EXPECT_EQ(read, values[i]);
        }
    }
}

TEST_F(StoreTest, Samples_that_share_an_index_are_all_kept) {
    Store store = open();
    launch(store, "r-1");
    const CaseRecords chunk{
        CaseKey{"parity"}, {Measurement{"x", 1, "1", {}, 0}, Measurement{"x", 2, "1", {}, 0}}, {}};
    must(store.append_events(RunId{"r-1"}, Attempt{1}, line(1, chunk) + line(2, chunk)));
    EXPECT_EQ(must(store.outcomes(RunId{"r-1"}, Attempt{1}))[0].outcome.records.size(), 4U);
}

TEST_F(StoreTest, Text_with_quotes_and_control_characters_comes_back_as_it_was) {
    Store store = open();
    launch(store, "r-1");
    const std::string hostile = "'; DROP TABLE run; --\x01\n\"<script>\xc3\xa9";
    must(store.append_events(
        RunId{"r-1"}, Attempt{1},
        line(1, CaseRecords{CaseKey{"parity"}, {Fact{"f", hostile, {{"k'", hostile}}}}, {}})));
    const Record record = must(store.outcomes(RunId{"r-1"}, Attempt{1}))[0].outcome.records.at(0);
    EXPECT_EQ(std::get<Fact>(record).value, hostile);
    EXPECT_EQ(std::get<Fact>(record).labels.at("k'"), hostile);
}

}  // namespace
}  // namespace nsa::store
