// Names and versions of reports.
#include "fixture.hpp"

namespace nsa::store {
namespace {

class ReportRowsTest : public StoreTest {
  protected:
    static void finish(Store& store, const std::string& id) {
        launch(store, id);
        must(store.publish_result(RunId{id}, a_publication(1)));
    }
};

TEST_F(ReportRowsTest, Versions_count_the_reports_of_one_day_and_subject) {
    Store store = open();
    for (const char* id : {"r-1", "r-2", "r-3", "r-4"})
        finish(store, id);
    EXPECT_EQ(must(store.reserve_report(RunId{"r-1"}, "2026-11-23", "FA2")).version, 1);
    EXPECT_EQ(must(store.reserve_report(RunId{"r-2"}, "2026-11-23", "FA2")).version, 2);
    EXPECT_EQ(must(store.reserve_report(RunId{"r-3"}, "2026-11-23", "Decode")).version, 1);
    EXPECT_EQ(must(store.reserve_report(RunId{"r-4"}, "2026-11-24", "FA2")).version, 1);
}

TEST_F(ReportRowsTest, A_run_keeps_its_name_however_often_it_is_rendered) {
    Store store = open();
    finish(store, "r-1");
    ReportRow report = must(store.reserve_report(RunId{"r-1"}, "2026-11-23", "FA2"));
    report.markdown_path = "/artifacts/r-1/x.md";
    report.markdown_sha256 = Sha256{std::string(64, 'e')};
    report.recorded_ms = 10'000;
    must(store.record_report(report));
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).report_path, "/artifacts/r-1/x.md");
    EXPECT_EQ(must(store.reserve_report(RunId{"r-1"}, "2026-11-25", "Other")), report);

    const std::uint64_t version = must(store.find_run(RunId{"r-1"})).version;
    ReportRow again = report;
    again.recorded_ms = 20'000;
    must(store.record_report(again));
    EXPECT_EQ(must(store.find_run(RunId{"r-1"})).version, version);
    EXPECT_EQ(must(store.find_report(RunId{"r-1"})), report);
}

TEST_F(ReportRowsTest, A_report_needs_a_terminal_state_and_a_reservation) {
    Store store = open();
    launch(store, "r-1");
    EXPECT_EQ(store.reserve_report(RunId{"r-1"}, "2026-11-23", "FA2").error().code, ErrorCode::kConflict);
    EXPECT_EQ(store.find_report(RunId{"r-1"}).error().code, ErrorCode::kNotFound);
    must(store.publish_result(RunId{"r-1"}, a_publication(1)));
    ReportRow invented;
    invented.run = RunId{"r-1"};
    EXPECT_EQ(store.record_report(invented).error().code, ErrorCode::kConflict);
}

}  // namespace
}  // namespace nsa::store
