// What the report makes of prefill benchmarks and needles.
#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "reports/findings.hpp"
#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

using language::Labels;
using language::Scalar;
using language::Status;
using synthetic::a_case;
using synthetic::a_run;
using synthetic::parity_case;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

void measure(CaseFacts& one, const std::string& metric, const Labels& labels, std::vector<double> samples,
             const std::string& unit = "ms") {
    one.planned.expected.push_back({metric, 1, static_cast<int>(samples.size())});
    one.series.push_back({metric, unit, labels, std::move(samples)});
}

// Forward and backward at one length; `win_ms` is the sliding branch's share, by `route`.
CaseFacts prefill_case(const std::string& key, const std::string& route, double win_ms, double full_ms = 8) {
    CaseFacts one = a_case(key, "prefill_bench", "");
    one.planned.params = {{"route", Scalar{route}}, {"seq", std::vector<Scalar>{std::int64_t{8192}}}};
    one.facts = {{"device", "cuda:0", {}}, {"dtype", "bf16", {}}};
    for (const char* branch : {"sliding", "compressed", "selected"}) {
        const bool own = std::string(branch) == "sliding";
        one.facts.push_back({"route_taken", own ? route : "sdpa", {{"branch", branch}, {"S", "8192"}}});
    }
    for (const char* pass : {"forward", "backward"}) {
        const Labels row{{"S", "8192"}, {"pass", pass}};
        const bool forward = std::string(pass) == "forward";
        measure(one, "ms_total", row, {2 + win_ms, 2.1 + win_ms, 1.9 + win_ms});
        measure(one, "ms_compress", row, {0.1, 0.1, 0.1});
        measure(one, "ms_cmp", row, {0.5, 0.5, 0.5});
        if (forward) measure(one, "ms_select", row, {0.4, 0.4, 0.4});
        measure(one, "ms_sel", row, {0.9, 0.9, 0.9});
        measure(one, "ms_win", row, {win_ms, win_ms, win_ms});
        measure(one, "ms_combine", row, {0.1, 0.1, 0.1});
        measure(one, "ms_parts", row, {2 + win_ms});
        measure(one, "percent_of_floor_win", row, {50}, "%");
        measure(one, "ms_floor", row, {0.68});
        measure(one, "percent_of_floor", row, {25}, "%");
        measure(one, "ms_fa2", row, {full_ms, full_ms, full_ms});
        measure(one, "speedup_vs_fa2", row, {full_ms / (2 + win_ms)}, "1");
        measure(one, "unique_blocks_8", row, {0.59}, "1");
        measure(one, "peak_memory_bytes", row, {3.0 * (1 << 30)}, "B");
        one.facts.push_back({"validity", forward ? "VALID" : "DEGRADED", row});
        one.facts.push_back(
            {"validity_reason", forward ? "" : "the driver slowed the chip down for heat", row});
    }
    return one;
}

void needle_row(CaseFacts& one, const char* depth, double hit_rate, double accuracy, bool forced,
                std::vector<double> errors) {
    const Labels row{{"S", "65536"}, {"depth", depth}};
    measure(one, "hit_rate", row, {hit_rate}, "1");
    measure(one, "accuracy", row, {accuracy}, "1");
    measure(one, "chance_hit_rate", row, {forced ? 1 : 0.02}, "1");
    measure(one, "forced", row, {forced ? 1.0 : 0.0}, "1");
    measure(one, "value_error", row, std::move(errors), "1");
}

CaseFacts needle_case(double hit_rate, std::vector<double> errors) {
    CaseFacts one = a_case("needle", "needle", "");
    needle_row(one, "0", 1, 1, true, {0, 0});
    needle_row(one, "50", hit_rate, hit_rate, false, std::move(errors));
    return one;
}

std::string said(const RunFacts& facts, std::string_view rule) {
    std::string all;
    for (const Finding& finding : analyse(facts).findings) {
        if (finding.rule == rule) all += finding.text + "\n";
    }
    return all;
}

TEST(Prefill, The_tables_show_parts_floors_full_attention_and_what_the_row_is_worth) {
    const std::string markdown =
        render(a_run(Status::kPass, {prefill_case("prefill", "sdpa", 0.72)}, true)).markdown;
    EXPECT_THAT(markdown, HasSubstr("### 1\\. Prefill Benchmark"));
    EXPECT_THAT(markdown,
                HasSubstr("| S | Pass | Total ms | compress | cmp | select | sel | win | combine | Sum / "
                          "total | Samples |"));
    EXPECT_THAT(markdown,
                HasSubstr("| 8192 | forward | 2.72 (2.62 to 2.82) | 0.1 | 0.5 | 0.4 | 0.9 | 0.72 (50.0%) | "
                          "0.1 | 100.0% | 3 of 3 |"));
    EXPECT_THAT(markdown,
                HasSubstr("| 8192 | forward | 2.72 | 0.68 | 25.0% | fa2 8 | 2.941 | 0.59 | 3 GiB | VALID |"));
    EXPECT_THAT(markdown, HasSubstr("| 8192 | backward | 2.72 (2.62 to 2.82) | 0.1 | 0.5 | - |"));
    EXPECT_THAT(markdown, HasSubstr("| DEGRADED |"));
}

TEST(Prefill, Times_shares_and_rows_of_little_worth_are_told) {
    const RunFacts facts = a_run(Status::kPass, {prefill_case("prefill", "sdpa", 0.72)}, true);
    EXPECT_THAT(said(facts, "prefill_time"), HasSubstr("forward at S=8192 takes 2.72 ms, 4 times its floor"));
    EXPECT_THAT(said(facts, "prefill_share"), HasSubstr("the largest part is ms_sel with 33.1% of the sum"));
    EXPECT_THAT(said(facts, "prefill_validity"),
                AllOf(HasSubstr("1 of 2 rows is DEGRADED (S=8192, pass=backward: the driver slowed the chip"),
                      Not(HasSubstr("forward"))));
}

TEST(Prefill, Sparse_attention_that_is_slower_than_full_attention_is_told) {
    EXPECT_THAT(
        said(a_run(Status::kPass, {prefill_case("prefill", "sdpa", 0.72)}, true), "prefill_faster_than_full"),
        HasSubstr("full attention by fa2 8 ms: 2.941 times faster"));
    const RunFacts slower = a_run(Status::kPass, {prefill_case("prefill", "sdpa", 0.72, 1.36)}, true);
    EXPECT_THAT(said(slower, "prefill_slower_than_full"), HasSubstr("2 times slower; there full attention"));
    EXPECT_EQ(said(slower, "prefill_faster_than_full"), "");
}

TEST(Prefill, A_row_of_little_worth_chooses_nothing_and_an_invalid_one_is_not_compared) {
    RunFacts facts = a_run(Status::kPass, {prefill_case("prefill", "sdpa", 0.72, 1.36)}, true);
    EXPECT_THAT(
        said(facts, "prefill_slower_than_full"),
        AllOf(
            HasSubstr("backward at S=8192, sparse attention takes 2.72 ms and full attention by fa2 1.36 ms: "
                      "2 times slower, in a row that is DEGRADED."),
            HasSubstr("forward at S=8192")));
    for (language::Fact& fact : facts.cases.front().facts) {
        if (fact.name == "validity" && fact.value == "DEGRADED") fact.value = "INVALID";
    }
    EXPECT_THAT(said(facts, "prefill_slower_than_full"),
                AllOf(HasSubstr("forward at S=8192"), Not(HasSubstr("backward at S=8192"))));
}

TEST(Prefill, Nothing_measured_shows_no_table_and_concludes_nothing) {
    const RunFacts facts = a_run(Status::kInconclusive, {a_case("prefill", "prefill_bench", "")}, true);
    EXPECT_THAT(render(facts).markdown, Not(HasSubstr("Total ms")));
    EXPECT_EQ(said(facts, "prefill_time"), "");
}

// Told its route by a parameter, so that parameter alone may differ.
TEST(Production, The_fastest_route_of_a_prefill_bench_is_chosen) {
    RunFacts facts =
        a_run(Status::kPass,
              {parity_case("sdpa", {"sliding", "sdpa", 6e-5, 4.5e-5, 2e-4, true}),
               parity_case("fa2", {"sliding", "fa2_dense", 6e-5, 4.5e-5, 2e-4, true}),
               prefill_case("prefill_sdpa", "sdpa", 2.5), prefill_case("prefill_fa2", "fa2_dense", 0.7)},
              true);
    const BranchChoice sliding = choose_production(facts).branches.front();
    EXPECT_EQ(sliding.route, "fa2_dense");
    EXPECT_THAT(sliding.why, HasSubstr("0.7 ms of ms_win forward at S=8192 in bf16"));
    facts.cases.back().planned.params["queries"] = Scalar{std::string("correlated")};
    EXPECT_THAT(choose_production(facts).branches.front().why, HasSubstr("not all were timed alike"));
}

TEST(Needle, Every_row_shows_hits_chance_and_values) {
    const RunFacts facts = a_run(Status::kPass, {needle_case(1, {0.001, 0.002})}, false);
    const std::string markdown = render(facts).markdown;
    EXPECT_THAT(markdown, HasSubstr("### 1\\. Needle in a Long Context"));
    EXPECT_THAT(markdown, HasSubstr("| 65536 | 0 | yes | 1 | 1 | 1 | 0 | 2 of 2 |"));
    EXPECT_THAT(markdown, HasSubstr("| 65536 | 50 | no | 1 | 0.02 | 1 | 0.002 | 2 of 2 |"));
    EXPECT_THAT(
        said(facts, "needle"),
        HasSubstr("arrives in 2 of 2 rows; where selection has a choice, chance alone would hit 2.0%"));
    EXPECT_EQ(said(facts, "needle_missed"), "");
}

TEST(Needle, Rows_in_which_selection_has_no_choice_test_none) {
    CaseFacts one = a_case("needle", "needle", "");
    needle_row(one, "0", 1, 1, true, {0, 0});
    EXPECT_THAT(said(a_run(Status::kPass, {one}, false), "needle"), HasSubstr("so selection was not tested"));
}

TEST(Needle, Missed_ones_are_named_by_length_and_depth) {
    const RunFacts facts =
        a_run(Status::kFail, {needle_case(0.5, {0.001, std::numeric_limits<double>::quiet_NaN()})}, false);
    EXPECT_THAT(said(facts, "needle"), HasSubstr("in 1 of 2 rows"));
    EXPECT_THAT(said(facts, "needle_missed"), HasSubstr("missed at S=65536, depth=50."));
    EXPECT_THAT(render(facts).markdown, HasSubstr("| 0.5 | nan | 2 of 2 |"));
}

}  // namespace
}  // namespace nsa::reports
