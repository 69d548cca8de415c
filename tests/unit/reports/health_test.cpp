// Reports of gate_health, memory_scaling, compared training and golden files.
#include <gmock/gmock.h>

#include <cmath>

#include "reports/findings.hpp"
#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

using language::Labels;
using language::Scalar;
using language::Status;
using synthetic::a_run;
using testing::HasSubstr;
using testing::Not;

void measure(CaseFacts& one, const std::string& metric, std::vector<double> samples, Labels labels = {}) {
    one.series.push_back({metric, "1", std::move(labels), std::move(samples)});
}

CaseFacts gates_case(double collapsed) {
    CaseFacts one = synthetic::a_case("gates", "gate_health", "Gates");
    const Labels layer{{"layer", "1"}};
    for (const char* branch : {"compressed", "selected", "sliding"}) {
        const Labels row{{"layer", "1"}, {"branch", branch}};
        measure(one, "gate_mean", {0.25, 0.26, 0.27}, row);
        measure(one, "gate_low", {0.5, 0.5, 0.5}, row);
        measure(one, "gate_high", {0, 0, 0}, row);
    }
    measure(one, "gate_entropy", {0.9, 0.91, 0.92}, layer);
    measure(one, "gate_taken_all", {0.125, 0.125, 0.125}, layer);
    measure(one, "gate_collapsed", {0, collapsed, 0}, layer);
    return one;
}

CaseFacts memory_case() {
    CaseFacts one = synthetic::a_case("memory", "memory_scaling", "Memory");
    const Labels row{{"pass", "decode"}, {"route", "sdpa"}};
    Labels point = row;
    point["S"] = "512";
    measure(one, "peak_bytes", {1048576}, point);
    measure(one, "bytes_per_token", {2048}, point);
    measure(one, "exponent", {0.98}, row);
    measure(one, "exponent_last", {0.99}, row);
    return one;
}

std::string findings_of(const RunFacts& facts) {
    std::string all;
    for (const Finding& finding : analyse(facts).findings)
        all += finding.rule + ": " + finding.text + "\n";
    return all;
}

TEST(HealthReport, Gates_have_a_row_for_each_layer) {
    const std::string page = render(a_run(Status::kPass, {gates_case(0)}, false)).markdown;
    EXPECT_THAT(page, HasSubstr("1\\. Gate Health"));
    EXPECT_THAT(
        page, HasSubstr("| Gates (gates) | 1 | 0.26 | 0.26 | 0.26 | 50.0% | 0.0% | 0.91 | 0.125 | no | 3 |"));
    EXPECT_THAT(findings_of(a_run(Status::kPass, {gates_case(0)}, false)), Not(HasSubstr("gates_collapsed")));
}

TEST(HealthReport, A_collapse_in_any_sample_is_seen_and_found) {
    const RunFacts facts = a_run(Status::kFail, {gates_case(1)}, false);
    EXPECT_THAT(render(facts).markdown, HasSubstr("| **yes** |"));
    EXPECT_THAT(findings_of(facts), HasSubstr("the gates of layer 1 have collapsed, their entropy is 0.91"));
}

TEST(HealthReport, Memory_shows_points_and_growth) {
    const RunFacts facts = a_run(Status::kPass, {memory_case()}, false);
    const std::string page = render(facts).markdown;
    EXPECT_THAT(page, HasSubstr("1\\. Memory Scaling"));
    EXPECT_THAT(page, HasSubstr("| decode | sdpa | 512 | 1 MiB | 2 KiB |"));
    EXPECT_THAT(page, HasSubstr("| decode | sdpa | 0.98 | 0.99 |"));
    EXPECT_THAT(findings_of(facts), HasSubstr("memory of decode by route 'sdpa' grows as S^0.99"));
}

TEST(HealthReport, The_worst_gap_of_two_loss_curves_is_found_and_nan_is_worst) {
    CaseFacts one = synthetic::training_case({5.5, 5.4, 5.3});
    one.planned.params = {{"route", Scalar{std::string("sdpa")}},
                          {"compare_route", Scalar{std::string("reference")}}};
    measure(one, "loss_gap", {0, 3e-4, 1e-4});
    EXPECT_THAT(findings_of(a_run(Status::kPass, {one}, false)),
                HasSubstr("at most 0.0003 of themselves, at step 1"));
    one.series.back().samples = {0.5, std::nan(""), 1e-4};
    EXPECT_THAT(findings_of(a_run(Status::kFail, {one}, false)),
                HasSubstr("at most nan of themselves, at step 1"));
}

CaseFacts golden_case(double mae, double file_off) {
    CaseFacts one = synthetic::parity_case("golden", {.mae = mae});
    one.planned.params["golden"] = Scalar{std::string("/data/x.pt")};
    one.facts.push_back({"golden_producer", "other code", {}});
    measure(one, "golden_vs_oracle_mae", {file_off});
    return one;
}

TEST(HealthReport, A_golden_case_says_whose_outputs_it_was_held_against) {
    const RunFacts facts = a_run(Status::kPass, {golden_case(6e-5, 1e-9)}, false);
    EXPECT_THAT(render(facts).markdown,
                HasSubstr("Distances to the outputs of a golden file: golden (/data/x.pt)"));
    EXPECT_THAT(findings_of(facts), HasSubstr("to the golden file of 'other code', which itself lies 1e-09"));
    EXPECT_THAT(findings_of(facts), Not(HasSubstr("stands alone")));
    EXPECT_THAT(findings_of(facts), Not(HasSubstr("with the fp64 oracle: MAE")))
        << "it was not held against it";
}

TEST(HealthReport, A_golden_file_that_is_far_from_the_oracle_stands_alone) {
    EXPECT_THAT(findings_of(a_run(Status::kFail, {golden_case(0.5, 0.5)}, false)),
                HasSubstr("So the file is what stands alone, not the route."));
}

TEST(HealthReport, A_route_that_shares_the_files_distance_or_is_off_by_itself_is_not_excused) {
    for (const double file_off : {0.77, 6e-4}) {
        EXPECT_THAT(findings_of(a_run(Status::kFail, {golden_case(1e-3, file_off)}, false)),
                    Not(HasSubstr("stands alone")))
            << file_off;
    }
}

}  // namespace
}  // namespace nsa::reports
