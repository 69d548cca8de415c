// From a real store to files: a run that was submitted, replicated and published.
#include "reports/write.hpp"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "language/hash.hpp"
#include "reports/load.hpp"
#include "store/store.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

namespace fs = std::filesystem;
using namespace language;
using testing::HasSubstr;
using testing::Not;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

class WriteTest : public testing::Test {
  protected:
    WriteTest() {
        std::string pattern = (fs::temp_directory_path() / "nsa-report-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
        store_.emplace(must(store::Store::open(root_ / "nsa.db")));
    }
    ~WriteTest() override { fs::remove_all(root_); }

    // A run of one decode case that measured and left decode.csv.
    void finish(const std::string& id) {
        const RunFacts made =
            synthetic::a_run(Status::kPass, {synthetic::decode_case("decode", false)}, false);
        const CaseFacts& decode = made.cases[0];
        Plan plan = made.plan;
        plan.cases = {decode.planned};
        store::NewRun run = store::new_run(RunId{id}, plan, "version: 1\n", "decode.yaml", 1'000);
        must(store_->submit(run));
        must(store_->begin_attempt(RunId{id}, Attempt{1}, InstanceName{"local"}, 2'000));
        CaseRecords chunk{decode.planned.key, {}, {}};
        for (const Series& series : decode.series) {
            for (std::size_t i = 0; i < series.samples.size(); ++i)
                chunk.records.push_back(Measurement{series.metric, series.samples[i], series.unit,
                                                    series.labels, static_cast<int>(i)});
        }
        must(store_->append_events(
            RunId{id}, Attempt{1},
            to_line({1, 1, HostProbed{made.host}}) +
                to_line({2, 2, CaseStarted{decode.planned.key, 9, decode.argv}}) + to_line({3, 3, chunk}) +
                to_line({4, 4, CaseFinished{decode.planned.key, *decode.end, 1, 0, 0, 2048}})));
        publish(id, decode);
    }

    void publish(const std::string& id, const CaseFacts& decode) {
        const fs::path dir = root_ / id / "1";
        fs::create_directories(dir / "steps/decode");
        std::ofstream(dir / "steps/decode/decode.csv") << "S,ms_total\n512,0.5\n";
        store::Publication publication;
        publication.attempt = 1;
        publication.status = Status::kPass;
        publication.artifact_dir = dir.string();
        publication.artifacts = {{"steps/decode/decode.csv", 22, sha256_of("S,ms_total\n512,0.5\n")}};
        publication.cases = {{decode.planned.key, decode.judgement}};
        publication.at_ms = 1'795'435'200'000;
        must(store_->publish_result(RunId{id}, publication));
    }

    fs::path root_;
    std::optional<store::Store> store_;
};

TEST_F(WriteTest, A_published_run_becomes_three_files_and_a_row) {
    finish("r-1");
    const store::ReportRow row = must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000));
    EXPECT_EQ(row.version, 1);
    EXPECT_EQ(fs::path(row.markdown_path).filename(),
              "2026-11-23 Test Engineer Report - FA2 Routing Verification v1.md");
    EXPECT_EQ(sha256_of(read(row.markdown_path)), row.markdown_sha256);
    EXPECT_EQ(sha256_of(read(row.html_path)), row.html_sha256);
    EXPECT_EQ(sha256_of(read(row.json_path)), row.json_sha256);
    EXPECT_EQ(read(root_ / "r-1" / "decode.csv"), "S,ms_total\n512,0.5\n");
    EXPECT_EQ(must(store_->find_run(RunId{"r-1"})).report_path, row.markdown_path);
    const std::string markdown = read(row.markdown_path);
    EXPECT_THAT(markdown, HasSubstr("| 512 | 0.5 (0.49 to 0.515) |"));
    EXPECT_THAT(markdown, HasSubstr("(1/steps/decode/decode.csv)"));
}

TEST_F(WriteTest, Figures_are_files_beside_the_markdown_and_stand_in_the_page) {
    finish("r-1");
    const store::ReportRow row = must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000));
    EXPECT_THAT(read(row.markdown_path), HasSubstr("](plots/1.svg)"));
    const std::string svg = read(root_ / "r-1/plots/1.svg"), page = read(row.html_path);
    EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" ")) << svg;
    EXPECT_THAT(page, HasSubstr("<figure><svg "));
    EXPECT_THAT(page, Not(HasSubstr("<img")));
}

// The report needs the store alone.
TEST_F(WriteTest, A_table_that_was_cleared_away_at_home_costs_nothing_but_its_copy) {
    finish("r-1");
    fs::remove_all(root_ / "r-1" / "1");
    const store::ReportRow first = must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000));
    EXPECT_FALSE(fs::exists(root_ / "r-1/decode.csv"));
    std::ofstream(root_ / "r-1/decode.csv") << "of an earlier time";
    EXPECT_EQ(must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000)), first);
    EXPECT_EQ(read(root_ / "r-1/decode.csv"), "of an earlier time");
}

// A reader of the old copy keeps the old copy: the new one is another file.
TEST_F(WriteTest, The_copy_of_the_table_is_replaced_whole) {
    finish("r-1");
    std::ofstream(root_ / "r-1/decode.csv") << "old";
    std::ifstream reader(root_ / "r-1/decode.csv");
    must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000));
    std::string seen;
    std::getline(reader, seen);
    EXPECT_EQ(seen, "old");
    EXPECT_EQ(read(root_ / "r-1/decode.csv"), "S,ms_total\n512,0.5\n");
    EXPECT_FALSE(fs::exists(root_ / "r-1/decode.csv.tmp"));
}

// Two tries on one host: what is paid for is the time from each lease to its end.
TEST_F(WriteTest, Tries_and_the_time_on_hosts_come_from_the_store) {
    const RunId run{"r-1"};
    const RunFacts made = synthetic::a_run(Status::kPass, {synthetic::decode_case("decode", false)}, false);
    Plan plan = made.plan;
    plan.cases = {made.cases[0].planned};
    must(store_->submit(store::new_run(run, plan, "version: 1\n", "decode.yaml", 1'000)));
    store::RunChange change;
    change.state = RunState::kProvisioning;
    change.lease = InstanceName{"a"};
    change.at_ms = 5'000;
    must(store_->set_run_state(run, change));
    must(store_->begin_attempt(run, Attempt{1}, InstanceName{"a"}, 6'000));
    change = {};
    change.retries = 1;
    change.attempts_over = Attempt{1};
    change.failed = store::FailedTry{1, Attempt{1}, InstanceName{"a"}, Reason::kWorkerDied, "died", 0};
    change.at_ms = 15'000;  // QUEUED: 10 s were held
    must(store_->set_run_state(run, change));
    change.state = RunState::kProvisioning;
    change.lease = InstanceName{"a"};
    change.at_ms = 60'000;
    must(store_->set_run_state(run, change));
    must(store_->begin_attempt(run, Attempt{2}, InstanceName{"a"}, 61'000));
    store::Publication publication;
    publication.attempt = 2;
    publication.status = Status::kPass;
    publication.cases = {{made.cases[0].planned.key, made.cases[0].judgement}};
    publication.at_ms = 90'000;  // 30 s more
    must(store_->publish_result(run, publication));
    const RunFacts facts = must(load(*store_, run));
    EXPECT_EQ(facts.held_ms, 40'000);
    ASSERT_EQ(facts.failed_tries.size(), 1U);
    EXPECT_EQ(facts.failed_tries[0].over_ms, 15'000);
    EXPECT_EQ(facts.attempts.size(), 2U);
}

TEST_F(WriteTest, Rendering_again_changes_no_byte_and_no_row) {
    finish("r-1");
    const store::ReportRow first = must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000));
    const std::string before = read(first.markdown_path) + read(first.html_path) + read(first.json_path);
    fs::remove(first.html_path);  // as after a crash between the files
    const store::ReportRow second =
        must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 9'000));
    EXPECT_EQ(second, first);
    EXPECT_EQ(read(first.markdown_path) + read(first.html_path) + read(first.json_path), before);
}

TEST_F(WriteTest, A_second_run_of_the_day_gets_the_next_version) {
    finish("r-1");
    finish("r-2");
    must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000));
    EXPECT_EQ(must(write_report(*store_, RunId{"r-2"}, (root_ / "r-2").string(), 5'000)).version, 2);
}

TEST_F(WriteTest, Samples_come_back_from_the_store_as_they_were_measured) {
    finish("r-1");
    const RunFacts facts = must(load(*store_, RunId{"r-1"}));
    const CaseFacts wanted = synthetic::decode_case("decode", false);
    ASSERT_EQ(facts.cases.size(), 1U);
    ASSERT_EQ(facts.cases[0].series.size(), wanted.series.size());
    for (std::size_t i = 0; i < wanted.series.size(); ++i) {
        EXPECT_EQ(facts.cases[0].series[i].metric, wanted.series[i].metric);
        EXPECT_EQ(facts.cases[0].series[i].samples, wanted.series[i].samples);
    }
    EXPECT_EQ(facts.cases[0].max_rss_kib, 2048);
    EXPECT_EQ(facts.host.at("gpu_reason"), "nvidia-smi was not found");
}

TEST_F(WriteTest, The_json_report_is_one_document_with_the_exact_samples) {
    finish("r-1");
    const store::ReportRow row = must(write_report(*store_, RunId{"r-1"}, (root_ / "r-1").string(), 5'000));
    const boost::json::value report = boost::json::parse(read(row.json_path));
    EXPECT_EQ(report.at("status").as_string(), "PASS");
    EXPECT_EQ(report.at("exit_code").as_int64(), 0);
    EXPECT_EQ(report.at("cases").as_array().size(), 1U);
    EXPECT_EQ(
        report.at("cases").as_array()[0].at("measurements").as_array()[0].at("samples").as_array().size(),
        5U);
}

TEST_F(WriteTest, A_run_that_is_not_done_has_no_report) {
    store::NewRun run;
    run.run = RunId{"r-9"};
    run.plan_json = "{}";
    must(store_->submit(run));
    Result<store::ReportRow> refused = write_report(*store_, RunId{"r-9"}, (root_ / "r-9").string(), 1);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
    EXPECT_FALSE(fs::exists(root_ / "r-9"));
}

}  // namespace
}  // namespace nsa::reports
