// The kinds that ask nsa-core about models: golden files of parity, routes compared by train_smoke,
// gate_health, memory_scaling.
#include <gmock/gmock.h>

#include "language/judge.hpp"
#include "language/kind.hpp"
#include "language/plan.hpp"
#include "planned_step.hpp"

namespace nsa::language {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

Check bound(const char* metric) {
    return {"", ThresholdCheck{metric, Op::kLessEqual, 1.5, "", Aggregate::kMax, 0}, Level::kGate, "spec"};
}

Step of_kind(const char* kind, Params params = {}) {
    Step step;
    step.kind = kind;
    step.params = std::move(params);
    return step;
}

std::vector<std::string> gates_of(const PlannedCase& planned_case) {
    std::vector<std::string> ids;
    for (const Check& check : planned_case.checks) {
        if (check.level == Level::kGate) ids.push_back(check.id);
    }
    return ids;
}

CaseJudgement judged(const Step& step, std::vector<Record> records) {
    CaseOutcome outcome;
    outcome.end = ProcessEnd{EndKind::kExited, 0, 0, false, ""};
    outcome.records = std::move(records);
    return judge(planned(step), outcome, "2026-11-23");
}

Step golden(Params more = {}) {
    Step step = of_kind("parity", {{"branch", text("sliding")}, {"golden", text("/data/x.safetensors")}});
    step.params.insert(more.begin(), more.end());
    step.checks = {bound("mae")};
    return step;
}

TEST(GoldenParityTest, LeavesShapeAndTypeToTheFile) {
    EXPECT_THAT(planned(golden()).argv, ElementsAre("nsa-core", "parity", "--branch", "sliding", "--route",
                                                    "auto", "--device", "auto", "--trials", "1",
                                                    "--gradients", "off", "--golden", "/data/x.safetensors"));
    EXPECT_THAT(planned(golden({{"dtype", text("fp64")}})).argv, Contains("--dtype"));
}

TEST(GoldenParityTest, WhatTheFileSaysCannotBeSaidAgain) {
    EXPECT_THAT(error_of(golden({{"heads", number(4)}})),
                HasSubstr("param 'heads': the golden file says it itself"));
    EXPECT_THAT(error_of(golden({{"trials", number(2)}})), HasSubstr("one trial"));
    Step step = golden();
    step.params["branch"] = text("decode_step");
    EXPECT_THAT(error_of(step), HasSubstr("paged cache"));
    step = golden();
    step.params["golden"] = text("x.npz");
    EXPECT_THAT(error_of(step), HasSubstr("ends in .safetensors or .pt, found 'x.npz'"));
}

TEST(GoldenParityTest, ADumpIsAnArtifactOfTheStep) {
    Step step = golden({{"dump", text("out.pt")}});
    step.params.erase("golden");
    EXPECT_THAT(planned(step).artifacts, Contains("out.pt"));
    EXPECT_THAT(planned(step).argv, IsSupersetOf({"--dump", "out.pt", "--heads"}));
    step.params["dump"] = text("../out.pt");
    EXPECT_THAT(error_of(step), HasSubstr("lies in the step's folder"));
}

Step with_gradients(const char* branch, const char* bounded) {
    Step step = of_kind("parity", {{"branch", text(branch)}, {"gradients", text("on")}});
    step.checks = {bound(bounded)};
    return step;
}

TEST(GradientParityTest, ABoundOnTheOutputsAloneDoesNotPassGradients) {
    EXPECT_THAT(error_of(with_gradients("sliding", "mae")),
                HasSubstr("param 'gradients': they need a gate too"));
    Step info = with_gradients("sliding", "mae");
    info.checks.push_back(bound("dq_mae"));
    info.checks.back().level = Level::kInfo;
    EXPECT_THAT(error_of(info), HasSubstr("need a gate too"));
    for (const char* metric : {"gradients_bound_ratio", "dq_rel_l2", "d_x_mae"}) {
        EXPECT_THAT(gates_of(planned(with_gradients("module", metric))),
                    Contains("finite gradients_bound_ratio"))
            << metric;
    }
}

TEST(GradientParityTest, DecodingHasNone) {
    for (const char* branch : {"decode", "decode_step"})
        EXPECT_THAT(error_of(with_gradients(branch, "gradients_bound_ratio")), HasSubstr("decoding has none"))
            << branch;
}

TEST(CompressorTest, ALearnableOneIsPartOfALayer) {
    const auto with = [](const char* branch) {
        Step step = of_kind("parity", {{"branch", text(branch)}, {"compressor", text("mlp")}});
        step.checks = {bound("mae")};
        return step;
    };
    EXPECT_THAT(error_of(with("compressed")), HasSubstr("param 'compressor': mlp is part of a layer"));
    EXPECT_THAT(planned(with("module")).argv, IsSupersetOf({"--compressor", "mlp", "--phi-hidden"}));
}

TEST(ShapeTest, SizesThatDoNotFitOneAnotherAreRefusedBeforeAnythingRuns) {
    const auto error = [](const char* kind, Params params) {
        Step step = of_kind(kind, std::move(params));
        if (step.kind == "parity") step.params["branch"] = text("decode_step");
        step.checks = {bound("mae")};
        return error_of(step);
    };
    for (const char* kind : {"decode_bench", "gate_health", "memory_scaling", "needle", "parity",
                             "prefill_bench", "train_smoke"})
        EXPECT_THAT(error(kind, {{"heads", number(8)}, {"groups", number(3)}}),
                    HasSubstr("param 'groups': expected a divisor of heads, which is 8, found '3'"))
            << kind;
    for (const char* kind : {"decode_bench", "memory_scaling", "needle", "parity", "prefill_bench"}) {
        EXPECT_THAT(error(kind, {{"d", number(12)}}), HasSubstr("a divisor of l, which is 32, found '12'"))
            << kind;
        EXPECT_THAT(
            error(kind, {{"l_sel", number(40)}, {"page", number(80)}}),
            testing::AnyOf(HasSubstr("a divisor of l_sel, which is 40"), HasSubstr("unknown param 'page'")))
            << kind;
    }
    for (const char* kind : {"gate_health", "train_smoke"})
        EXPECT_THAT(error(kind, {{"dk", number(15)}}), HasSubstr("param 'dk': expected an even number"))
            << kind;
    for (const char* kind : {"needle", "parity"})
        EXPECT_THAT(error(kind, {{"page", number(96)}}), HasSubstr("a multiple of l_sel, which is 64"))
            << kind;
    EXPECT_THAT(error("decode_bench", {{"scope", text("attention")}, {"page", number(96)}}),
                HasSubstr("a multiple of l_sel"));
    EXPECT_EQ(error("decode_bench", {{"page", number(96)}}), "no error") << "the layer has no pages";
    EXPECT_THAT(error("needle", {{"dk", number(3)}}),
                HasSubstr("at least heads/groups, which is 4, found '3'"));
}

TEST(TrainSmokeRoutesTest, AComparedRouteIsJudgedByItsBand) {
    const PlannedCase compared = planned(
        of_kind("train_smoke",
                {{"route", text("sdpa")}, {"compare_route", text("reference")}, {"steps", number(3)}}));
    EXPECT_EQ(compared.route_asked, "sdpa");
    EXPECT_THAT(compared.expected, Contains(Expectation{"loss_gap", 1, 3}));
    EXPECT_THAT(gates_of(compared), Contains("max(loss_gap) <= 0.01"));
    EXPECT_THAT(compared.argv, IsSupersetOf({"--compare-route", "reference"}));
    EXPECT_THAT(compared.argv, Not(Contains("--band")));
    EXPECT_THAT(gates_of(planned(of_kind("train_smoke"))), Not(Contains("max(loss_gap) <= 0.01")));
    Step own = of_kind("train_smoke", {{"compare_route", text("reference")}, {"band", text("1e-6")}});
    EXPECT_THAT(gates_of(planned(own)), Contains("max(loss_gap) <= 1e-06"));
}

TEST(TrainSmokeRoutesTest, NonsenseIsRefused) {
    EXPECT_THAT(error_of(of_kind("train_smoke", {{"band", text("0.1")}})),
                HasSubstr("give 'compare_route' too"));
    EXPECT_THAT(error_of(of_kind("train_smoke", {{"route", text("sdpa")}, {"compare_route", text("sdpa")}})),
                HasSubstr("is the route itself"));
}

std::vector<Record> gate_records(int samples, double collapsed) {
    std::vector<Record> records;
    for (int i = 0; i < samples; ++i) {
        const Labels layer{{"layer", "0"}};
        records.emplace_back(Measurement{"gate_entropy", 0.9, "1", layer, i});
        records.emplace_back(Measurement{"gate_taken_all", 0.1, "1", layer, i});
        records.emplace_back(Measurement{"gate_collapsed", collapsed, "1", layer, i});
        for (const char* branch : {"compressed", "selected", "sliding"}) {
            for (const char* metric : {"gate_mean", "gate_low", "gate_high"})
                records.emplace_back(Measurement{metric, 0.3, "1", {{"layer", "0"}, {"branch", branch}}, i});
        }
    }
    return records;
}

Step gate_health(double layers, double steps = 0) {
    return of_kind("gate_health",
                   {{"layers", number(layers)}, {"samples", number(2)}, {"steps", number(steps)}});
}

TEST(GateHealthTest, CollapsePassesNowhereAndNothingMeasuredNeither) {
    const Step step = gate_health(1);
    EXPECT_THAT(planned(step).expected,
                IsSupersetOf({Expectation{"gate_mean", 3, 2}, Expectation{"gate_collapsed", 1, 2}}));
    EXPECT_EQ(judged(step, gate_records(2, 0)).verdict, Verdict::kPass);
    EXPECT_EQ(judged(step, gate_records(2, 1)).verdict, Verdict::kFail);
    EXPECT_TRUE(judged(step, gate_records(1, 0)).short_of_asked);
    EXPECT_EQ(judged(step, {}).verdict, Verdict::kError);
    EXPECT_EQ(judged(gate_health(2), gate_records(2, 0)).verdict, Verdict::kError) << "a layer is missing";
}

TEST(GateHealthTest, GatesThatNoGradientReachedDoNotPass) {
    const Step step = gate_health(1, 3);
    const auto trained = [&](double grad_norm) {
        std::vector<Record> records = gate_records(2, 0);
        for (int i = 0; i < 3; ++i) {
            records.emplace_back(Measurement{"loss", 5.5, "nat", {}, i});
            records.emplace_back(Measurement{"grad_norm", grad_norm, "1", {}, i});
        }
        return judged(step, records).verdict;
    };
    EXPECT_EQ(trained(0.5), Verdict::kPass);
    EXPECT_EQ(trained(0), Verdict::kFail);
    EXPECT_EQ(judged(step, gate_records(2, 0)).verdict, Verdict::kError) << "no step was reported";
}

TEST(GateHealthTest, ARouteIsPassedOnAndAskedFor) {
    Step step = gate_health(1);
    step.params["route"] = text("sdpa");
    EXPECT_EQ(planned(step).route_asked, "sdpa");
    step.params["route"] = text("fa2_dense");  // which has no selected branch
    EXPECT_EQ(planned(step).route_asked, "");
}

Step scaling(Params params = {}) {
    Step step = of_kind("memory_scaling", std::move(params));
    step.checks = {bound("exponent")};
    return step;
}

std::vector<Record> memory_records(double exponent) {
    const Labels row{{"route", "auto"}, {"pass", "decode"}};
    std::vector<Record> records{Measurement{"exponent", exponent, "1", row, 0},
                                Measurement{"exponent_last", exponent, "1", row, 0}};
    for (const char* seq : {"64", "128"}) {
        Labels point = row;
        point["S"] = seq;
        records.emplace_back(Measurement{"peak_bytes", 1000, "B", point, 0});
        records.emplace_back(Measurement{"bytes_per_token", 10, "B/tok", point, 0});
    }
    return records;
}

TEST(MemoryScalingTest, ExpectsEveryPointAndCurve) {
    const PlannedCase result = planned(
        scaling({{"seq", text("64,128")}, {"routes", std::vector<Scalar>{text("sdpa"), text("reference")}}}));
    EXPECT_THAT(result.expected,
                IsSupersetOf({Expectation{"peak_bytes", 12, 1}, Expectation{"exponent", 6, 1}}));
    EXPECT_THAT(result.argv, IsSupersetOf({"sdpa,reference", "prefill,decode,train", "64,128"}));
    EXPECT_THAT(gates_of(result), IsSupersetOf({"finite exponent", "max(exponent) <= 1.5"}));
}

TEST(MemoryScalingTest, IsJudgedByTheBoundThatTheAuthorGave) {
    const Step step = scaling({{"seq", text("64,128")}, {"passes", text("decode")}});
    EXPECT_EQ(judged(step, memory_records(1.0)).verdict, Verdict::kPass);
    EXPECT_EQ(judged(step, memory_records(1.9)).verdict, Verdict::kFail);
    EXPECT_EQ(judged(step, {}).verdict, Verdict::kError);
    EXPECT_THAT(error_of(of_kind("memory_scaling")), HasSubstr("needs a gate that bounds its memory"));
    EXPECT_THAT(error_of(scaling({{"seq", text("64")}})),
                HasSubstr("at least two lengths, for an exponent is fitted"));
    EXPECT_THAT(error_of(scaling({{"seq", text("64,64")}})), HasSubstr("every number once"));
    EXPECT_THAT(error_of(scaling({{"seq", text("0,64")}})),
                HasSubstr("a list of whole numbers from 1 to 1048576"));
    EXPECT_THAT(error_of(scaling({{"passes", text("prefil")}})), HasSubstr("did you mean 'prefill'?"));
    EXPECT_THAT(error_of(scaling({{"routes", std::vector<Scalar>{}}})),
                HasSubstr("a list with a word in it"));
}

}  // namespace
}  // namespace nsa::language
