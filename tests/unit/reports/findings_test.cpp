// What the rules make of the rows.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "reports/findings.hpp"
#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

using synthetic::a_run;
using synthetic::decode_case;
using synthetic::oracle_case;
using synthetic::parity_case;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Wrong = OracleExamination::Wrong;
using language::Status;

const Finding* find(const Analysis& analysis, std::string_view rule) {
    const auto found = std::find_if(analysis.findings.begin(), analysis.findings.end(),
                                    [&](const Finding& finding) { return finding.rule == rule; });
    return found == analysis.findings.end() ? nullptr : &*found;
}

std::string advice(const Analysis& analysis) {
    std::string all;
    for (const Recommendation& one : analysis.recommendations)
        all += one.text + "\n";
    return all;
}

TEST(Oracle, Far_from_fp64_while_routes_agree_is_wrong_and_the_first_key_is_its_cause) {
    const RunFacts facts = a_run(Status::kPass, {parity_case("sdpa", {}), oracle_case("sliding")}, false);
    const Analysis analysis = analyse(facts);
    ASSERT_EQ(analysis.oracles.size(), 1U);
    EXPECT_EQ(analysis.oracles[0].wrong, Wrong::kOracle);
    EXPECT_TRUE(analysis.oracles[0].first_key_explains);
    const Finding* finding = find(analysis, "published_oracle");
    ASSERT_NE(finding, nullptr);
    EXPECT_EQ(finding->certainty, Certainty::kInferred);
    EXPECT_THAT(finding->text, HasSubstr("is wrong, not the routes"));
    EXPECT_THAT(finding->text, HasSubstr("0.7734"));
    EXPECT_THAT(finding->text, HasSubstr("3.1e-08"));
    EXPECT_EQ(finding->evidence.front().key.value, "published_oracle_sliding");
    EXPECT_THAT(advice(analysis), HasSubstr("Withdraw verdicts"));
}

TEST(Oracle, Says_nothing_of_routes_that_were_skipped) {
    const std::string markdown = render(synthetic::cpu_partial_pass()).markdown;
    EXPECT_THAT(markdown,
                HasSubstr("Not measured in this run, so nothing is said of them: sliding_fa2_dense, "
                          "sliding_fa2_varlen."));
    EXPECT_THAT(markdown, HasSubstr("the measured routes are right"));
}

TEST(Oracle, Whose_error_the_first_key_does_not_explain_has_an_open_cause) {
    const RunFacts facts =
        a_run(Status::kPass, {parity_case("sdpa", {}), oracle_case("sliding", 0.4)}, false);
    const Analysis analysis = analyse(facts);
    EXPECT_EQ(analysis.oracles[0].wrong, Wrong::kOracle);
    EXPECT_FALSE(analysis.oracles[0].first_key_explains);
    EXPECT_EQ(find(analysis, "published_oracle")->certainty, Certainty::kHypothesis);
    EXPECT_THAT(find(analysis, "published_oracle")->text, HasSubstr("the cause is open"));
}

TEST(Oracle, Near_fp64_while_a_route_fails_leaves_the_route_wrong) {
    CaseFacts right = oracle_case("sliding");
    right.series.front().samples = {5e-5};  // mae
    const RunFacts facts =
        a_run(Status::kFail, {parity_case("bad", {"sliding", "fa2_dense", 0.3}), right}, false);
    const Analysis analysis = analyse(facts);
    EXPECT_EQ(analysis.oracles[0].wrong, Wrong::kRoutes);
    EXPECT_THAT(render(facts).markdown, HasSubstr("the routes are wrong, the published oracle is right"));
}

TEST(Oracle, And_all_routes_off_means_both_are_wrong) {
    const RunFacts facts = a_run(
        Status::kFail, {parity_case("bad", {"sliding", "fa2_dense", 0.3}), oracle_case("sliding")}, false);
    EXPECT_EQ(analyse(facts).oracles[0].wrong, Wrong::kBoth);
}

TEST(Oracle, Alone_in_its_run_is_not_decided_and_routes_of_other_branches_do_not_count) {
    const RunFacts facts =
        a_run(Status::kPass, {parity_case("other", {"compressed", "sdpa"}), oracle_case("sliding")}, false);
    const Analysis analysis = analyse(facts);
    EXPECT_EQ(analysis.oracles[0].wrong, Wrong::kUndecided);
    EXPECT_THAT(find(analysis, "published_oracle")->text, HasSubstr("does not say which is wrong"));
}

TEST(Parity, A_bound_below_rounding_is_told_from_a_wrong_route) {
    const RunFacts tight =
        a_run(Status::kFail, {parity_case("tight", {"sliding", "sdpa", 6e-5, 4.5e-5, 1e-5})}, false);
    EXPECT_NE(find(analyse(tight), "bound_below_rounding"), nullptr);
    EXPECT_EQ(find(analyse(tight), "parity_off"), nullptr);
    const RunFacts wrong = synthetic::failed();
    ASSERT_NE(find(analyse(wrong), "parity_off"), nullptr);
    EXPECT_THAT(find(analyse(wrong), "parity_off")->text, HasSubstr("worst at [0,3,17,5]"));
    EXPECT_THAT(advice(analyse(wrong)),
                HasSubstr("Do not use route fa2_dense for 'sliding'; sdpa passed here."));
}

TEST(Parity, A_nan_is_never_called_rounding) {
    CaseFacts broken = parity_case("broken", {"sliding", "sdpa", 1});
    broken.series.front().samples = {std::nan("")};
    const Analysis analysis = analyse(a_run(Status::kFail, {broken}, false));
    EXPECT_NE(find(analysis, "parity_nan"), nullptr);
    EXPECT_EQ(find(analysis, "parity_off"), nullptr);
}

TEST(Parity, A_fallback_is_told_with_its_reason) {
    CaseFacts one = parity_case("auto", {"sliding", "auto"});
    for (language::Fact& fact : one.facts) {
        if (fact.name == "route_taken") fact.value = "sdpa";
        if (fact.name == "route_reason") fact.value = "FlashAttention-2 needs a CUDA device";
    }
    const Analysis analysis = analyse(a_run(Status::kPass, {one}, false));
    ASSERT_NE(find(analysis, "route_fallback"), nullptr);
    EXPECT_EQ(find(analysis, "route_fallback")->text,
              "auto took route sdpa of the sliding branch because FlashAttention-2 needs a CUDA device.");
}

TEST(Decode, A_flat_curve_is_a_hypothesis_and_a_rising_one_is_none) {
    EXPECT_EQ(find(analyse(a_run(Status::kPass, {decode_case("d", true)}, true)), "decode_flat")->certainty,
              Certainty::kHypothesis);
    CaseFacts rising = decode_case("d", true);
    for (Series& series : rising.series) {
        if (series.metric == "ms_total" && series.labels.at("S") == "2048") {
            for (double& sample : series.samples)
                sample *= 3;
        }
    }
    EXPECT_EQ(find(analyse(a_run(Status::kPass, {rising}, true)), "decode_flat"), nullptr);
}

TEST(Decode, Noise_is_told_and_advised_on_and_nothing_is_concluded_from_it) {
    CaseFacts noisy = decode_case("d", true);
    noisy.series.front().samples = {1, 2, 3, 4, 50};
    const Analysis analysis = analyse(a_run(Status::kPass, {noisy}, true));
    ASSERT_NE(find(analysis, "decode_noise"), nullptr);
    EXPECT_THAT(find(analysis, "decode_noise")->text, HasSubstr("spans 66.7% of the median at S=512;"));
    EXPECT_EQ(find(analysis, "decode_flat"), nullptr);
    EXPECT_THAT(advice(analysis), HasSubstr("Lock the clocks"));
    EXPECT_EQ(find(analyse(a_run(Status::kPass, {decode_case("d", true)}, true)), "decode_noise"), nullptr);
}

TEST(Decode, A_nan_among_the_samples_is_shown_and_nothing_is_concluded_from_it) {
    CaseFacts broken = decode_case("d", true);
    for (Series& series : broken.series) {
        if (series.metric == "ms_total" && series.labels.at("S") == "512") series.samples[1] = std::nan("");
    }
    broken.series.push_back(
        {"ms_total", "ms", {{"S", "nan"}}, {1, 2}});  // a length that has no place in an order
    const RunFacts facts = a_run(Status::kPass, {broken}, true);
    EXPECT_EQ(find(analyse(facts), "decode_flat"), nullptr);
    EXPECT_EQ(find(analyse(facts), "decode_noise"), nullptr);
    EXPECT_THAT(find(analyse(facts), "decode_time")->text, HasSubstr("nan ms at S=512 and 0.5 ms at S=2048"));
    EXPECT_THAT(render(facts).markdown, HasSubstr("| 512 | nan |"));
}

TEST(Training, A_loss_that_does_not_fall_and_a_dead_gradient_are_told) {
    CaseFacts dead = synthetic::training_case({5.0, 5.1});
    for (Series& series : dead.series) {
        if (series.metric == "grad_norm") series.samples = {0, 0};
    }
    const Analysis analysis = analyse(a_run(Status::kPass, {dead}, false));
    EXPECT_NE(find(analysis, "training_no_progress"), nullptr);
    EXPECT_NE(find(analysis, "training_zero_gradient"), nullptr);
    const Analysis good = analyse(a_run(Status::kPass, {synthetic::training_case({5.0, 4.0, 3.0})}, false));
    EXPECT_EQ(find(good, "training_no_progress"), nullptr);
    EXPECT_EQ(find(good, "training_zero_gradient"), nullptr);
}

TEST(Run, A_crash_is_observed_and_its_cause_only_supposed) {
    const Analysis analysis = analyse(synthetic::crashed());
    EXPECT_EQ(find(analysis, "crash")->certainty, Certainty::kObserved);
    EXPECT_EQ(find(analysis, "crash_cause")->certainty, Certainty::kHypothesis);
    EXPECT_EQ(find(analysis, "error"), nullptr);
}

TEST(Run, Cases_skipped_for_one_reason_are_told_once) {
    const Analysis analysis = analyse(synthetic::cpu_partial_pass());
    EXPECT_EQ(std::count_if(analysis.findings.begin(), analysis.findings.end(),
                            [](const Finding& finding) { return finding.rule == "skipped"; }),
              1);
    EXPECT_THAT(find(analysis, "skipped")->text, HasSubstr("2 cases skipped: --device cuda"));
    EXPECT_THAT(advice(analysis), HasSubstr("nsactl submit fa2_routing.yaml --instance NAME"));
}

TEST(Run, A_hundred_failures_are_not_told_one_by_one) {
    std::vector<CaseFacts> many;
    for (int i = 0; i < 100; ++i)
        many.push_back(parity_case("p" + std::to_string(i), {"sliding", "fa2_dense", 0.3}));
    const Analysis analysis = analyse(a_run(Status::kFail, many, false));
    EXPECT_THAT(render(a_run(Status::kFail, many, false)).markdown, HasSubstr("Another 80 gates failed"));
    EXPECT_NE(find(analysis, "gate_failed"), nullptr);
}

TEST(Production, The_fastest_passing_route_is_chosen_with_its_flags) {
    const ProductionConfig config = choose_production(synthetic::gpu_pass());
    EXPECT_THAT(config.env, ElementsAre("NSA_USE_FA2=1", "NSA_USE_FA2_WIN=1", "NSA_USE_FA2_CMP=0",
                                        "NSA_FA2_FORCE_DENSE=1"));
    EXPECT_EQ(config.branches[0].route, "fa2_dense");
    EXPECT_EQ(config.branches[0].ms, 0.08);
    EXPECT_EQ(config.branches[1].route, "sdpa");
    EXPECT_THAT(config.branches[1].why, HasSubstr("only route"));
    EXPECT_EQ(config.branches[2].route, "");
}

TEST(Production, A_faster_route_that_failed_is_never_chosen) {
    RunFacts facts = synthetic::gpu_pass();
    facts.cases.push_back(parity_case("again", {"sliding", "fa2_dense", 0.3, 4.5e-5, 2e-4, true}));
    EXPECT_EQ(choose_production(facts).branches[0].route, "sdpa");
}

TEST(Production, Routes_that_were_not_timed_alike_are_not_ranked) {
    RunFacts facts = synthetic::gpu_pass();
    facts.cases.back().planned.params["dim"] = language::Scalar{std::int64_t{4096}};
    const ProductionConfig config = choose_production(facts);
    EXPECT_EQ(config.branches[0].route, "sdpa");
    EXPECT_FALSE(config.branches[0].ms.has_value());
    EXPECT_THAT(config.branches[0].why, HasSubstr("speed does not decide"));
}

TEST(Production, A_bench_of_other_parameters_does_not_keep_the_others_from_being_ranked) {
    RunFacts facts = synthetic::gpu_pass();
    CaseFacts other = synthetic::decode_case("decode_fp32", true, 0.01, "sdpa");
    other.planned.params["dtype"] = language::Scalar{std::string("fp32")};
    facts.cases.insert(facts.cases.begin(), other);
    EXPECT_EQ(choose_production(facts).branches[0].route, "fa2_dense");
}

TEST(Production, A_cpu_host_recommends_nothing_and_says_why) {
    const ProductionConfig config = choose_production(synthetic::cpu_partial_pass());
    EXPECT_THAT(config.env, IsEmpty());
    EXPECT_EQ(config.none_because, "no route was measured on a GPU: nvidia-smi was not found");
}

TEST(Code, That_the_spec_does_not_state_is_the_bundle_that_was_built) {
    RunFacts facts = synthetic::repeated();
    EXPECT_THAT(
        render(facts).markdown,
        HasSubstr("not stated in the spec; nsa-core built on the host from source bundle 0123456789abcdef"));
    for (CaseFacts& one : facts.cases) {
        one.planned.argv.front() = "nsa-core";
        one.argv.front() = "/opt/bin/nsa-core";
    }
    EXPECT_THAT(render(facts).markdown,
                HasSubstr("not stated in the spec; nsa-core as installed: /opt/bin/nsa-core"));
}

TEST(Code, Is_the_working_tree_that_was_found_where_the_spec_asked_for_it) {
    RunFacts facts = synthetic::repeated();
    facts.plan.code = {"..", "main", "", language::Dirty::kRecord};
    facts.plan.working_tree = language::WorkingTree{"0123456789abcdef", 1, "fedcba9876543210"};
    EXPECT_NE(render(facts).markdown.find(".. main at 0123456789ab with uncommitted edits in 1 file (tree "
                                          "fedcba987654), as found at the submission"),
              std::string::npos);
}

TEST(Repetitions, Name_the_warm_ups_that_ran_and_count_those_that_never_started) {
    RunFacts facts = synthetic::repeated();
    facts.warmups.back().argv.clear();
    EXPECT_NE(render(facts).markdown.find(
                  "1 warm-up ran first, decided nothing and stand in no table: decode_sdpa"),
              std::string::npos);
    EXPECT_NE(render(facts).markdown.find("; 1 never started."), std::string::npos);
    facts.warmups.front().argv.clear();
    EXPECT_NE(render(facts).markdown.find("No warm-up was run."), std::string::npos);
}

TEST(Results, The_rows_of_a_check_have_one_order_whatever_mixture_their_labels_are) {
    std::vector<std::string> sizes = {"10", "1a", "2", "nan"};
    do {
        CaseFacts one = synthetic::a_case("a", "command", "A");
        for (const std::string& size : sizes) {
            language::CheckResult row;
            row.check = "ms <= 1";
            row.row = {{"S", size}};
            one.judgement.checks.push_back(row);
        }
        const std::string report = render(a_run(Status::kPass, {one}, false)).markdown;
        std::vector<std::size_t> places;
        for (const char* label : {"S=2", "S=10", "S=1a", "S=nan"})
            places.push_back(report.find(label));
        EXPECT_TRUE(std::is_sorted(places.begin(), places.end())) << testing::PrintToString(sizes);
        EXPECT_NE(places.back(), std::string::npos) << report;
    } while (std::next_permutation(sizes.begin(), sizes.end()));
}

TEST(Title, Is_the_file_name) {
    const Rendered rendered = render(synthetic::gpu_pass());
    EXPECT_EQ(rendered.stem, "2026-11-23 Test Engineer Report - FA2 Routing Verification v2");
    EXPECT_TRUE(rendered.markdown.starts_with("# " + rendered.stem + "\n"));
}

}  // namespace
}  // namespace nsa::reports
