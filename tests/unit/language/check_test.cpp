// One rule at a time: what it says about rows of samples.
#include "language/check.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <cmath>

#include "language/evaluate.hpp"
#include "language/judge.hpp"

namespace nsa::language {
namespace {

using testing::ElementsAre;

std::vector<Record> samples(const std::string& metric, const std::vector<double>& values,
                            const Labels& labels = {}, const std::string& unit = "1") {
    std::vector<Record> records;
    for (std::size_t i = 0; i < values.size(); ++i) {
        records.emplace_back(Measurement{metric, values[i], unit, labels, static_cast<int>(i)});
    }
    return records;
}

std::vector<Record> operator+(std::vector<Record> a, const std::vector<Record>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

std::vector<CheckResult> results_of(CheckRule rule, const std::vector<Record>& records) {
    return evaluate(Check{"id", std::move(rule), Level::kGate, ""}, Observations(records));
}

Verdict verdict_of(CheckRule rule, const std::vector<Record>& records) {
    const std::vector<CheckResult> results = results_of(std::move(rule), records);
    EXPECT_EQ(results.size(), 1U);
    return results.empty() ? Verdict::kError : results.front().verdict;
}

ThresholdCheck threshold(Op op, double value, Aggregate aggregate = Aggregate::kMedian,
                         double tolerance = 0) {
    return {"m", op, value, "", aggregate, tolerance};
}

TEST(ThresholdTest, EveryOperatorIsStrictAtItsLimit) {
    const auto at = [](Op op, double value) { return verdict_of(threshold(op, 2), samples("m", {value})); };
    EXPECT_EQ(at(Op::kLess, 1.9), Verdict::kPass);
    EXPECT_EQ(at(Op::kLess, 2), Verdict::kFail);
    EXPECT_EQ(at(Op::kLessEqual, 2), Verdict::kPass);
    EXPECT_EQ(at(Op::kLessEqual, 2.1), Verdict::kFail);
    EXPECT_EQ(at(Op::kGreater, 2.1), Verdict::kPass);
    EXPECT_EQ(at(Op::kGreater, 2), Verdict::kFail);
    EXPECT_EQ(at(Op::kGreaterEqual, 2), Verdict::kPass);
    EXPECT_EQ(at(Op::kGreaterEqual, 1.9), Verdict::kFail);
    EXPECT_EQ(at(Op::kEqual, 2), Verdict::kPass);
    EXPECT_EQ(at(Op::kEqual, std::nextafter(2.0, 3.0)), Verdict::kFail);
}

TEST(ThresholdTest, ToleranceForgivesOnOneSideOnly) {
    const auto at = [](Op op, double limit, double value) {
        return verdict_of(threshold(op, limit, Aggregate::kMedian, 0.1), samples("m", {value}));
    };
    EXPECT_EQ(at(Op::kLessEqual, 100, 109), Verdict::kPass);
    EXPECT_EQ(at(Op::kLessEqual, 100, 111), Verdict::kFail);
    EXPECT_EQ(at(Op::kGreaterEqual, 100, 91), Verdict::kPass);
    EXPECT_EQ(at(Op::kGreaterEqual, 100, 89), Verdict::kFail);
    EXPECT_EQ(at(Op::kLessEqual, -100, -91), Verdict::kPass);
    EXPECT_EQ(at(Op::kLessEqual, -100, -89), Verdict::kFail);
    EXPECT_EQ(at(Op::kEqual, 100, 91), Verdict::kPass);
    EXPECT_EQ(at(Op::kEqual, 100, 109), Verdict::kPass);
    EXPECT_EQ(at(Op::kEqual, 100, 111), Verdict::kFail);
}

TEST(ThresholdTest, EveryAggregateTakesItsNumber) {
    const auto measured = [](Aggregate aggregate) {
        return *results_of(threshold(Op::kLessEqual, 7, aggregate), samples("m", {5, 1, 9, 2}))
                    .front()
                    .measured;
    };
    EXPECT_EQ(measured(Aggregate::kMedian), 3.5);
    EXPECT_EQ(measured(Aggregate::kMin), 1);
    EXPECT_EQ(measured(Aggregate::kMax), 9);
    EXPECT_EQ(measured(Aggregate::kLast), 2);
    EXPECT_EQ(measured(Aggregate::kMean), 4.25);
    EXPECT_EQ(measured(Aggregate::kEach), 9);  // the one that breaks the rule
}

TEST(ThresholdTest, NanNeverHoldsWhateverTheAggregate) {
    for (Aggregate aggregate : {Aggregate::kMedian, Aggregate::kMin, Aggregate::kMax, Aggregate::kLast,
                                Aggregate::kMean, Aggregate::kEach}) {
        for (Op op : {Op::kLess, Op::kLessEqual, Op::kGreater, Op::kGreaterEqual, Op::kEqual}) {
            EXPECT_EQ(verdict_of(threshold(op, 2, aggregate, 0.5), samples("m", {2, std::nan("")})),
                      Verdict::kFail);
        }
    }
    EXPECT_EQ(results_of(threshold(Op::kLessEqual, 2), samples("m", {std::nan("")})).front().detail,
              "m nan is not <= 2");
}

TEST(ThresholdTest, JudgesEveryRowByItself) {
    const auto results = results_of(threshold(Op::kLessEqual, 2), samples("m", {1}, {{"S", "512"}}) +
                                                                      samples("m", {3, 3}, {{"S", "1024"}}));
    ASSERT_EQ(results.size(), 2U);
    EXPECT_EQ(results[0].row, (Labels{{"S", "1024"}}));
    EXPECT_EQ(results[0].verdict, Verdict::kFail);
    EXPECT_EQ(results[0].detail, "m 3 > 2");
    EXPECT_EQ(results[0].samples, 2);
    EXPECT_EQ(results[1].verdict, Verdict::kPass);
}

TEST(ThresholdTest, NoSampleOrAnotherUnitIsAnErrorAndNeverAPass) {
    EXPECT_EQ(verdict_of(threshold(Op::kLessEqual, 2), {}), Verdict::kError);
    EXPECT_EQ(verdict_of(threshold(Op::kLessEqual, 2), samples("n", {1})), Verdict::kError);
    ThresholdCheck in_ms = threshold(Op::kLessEqual, 2);
    in_ms.unit = "ms";
    EXPECT_EQ(verdict_of(in_ms, samples("m", {1}, {}, "us")), Verdict::kError);
    EXPECT_EQ(verdict_of(in_ms, samples("m", {1}, {}, "ms")), Verdict::kPass);
}

TEST(ThresholdTest, TheSentenceIsRoundedButNeverLooksLikeTheLimit) {
    const auto detail = [](double value) {
        return results_of(threshold(Op::kLessEqual, 2e-4), samples("m", {value})).front().detail;
    };
    EXPECT_EQ(detail(0.7936851293400823), "m 0.7937 > 0.0002");
    EXPECT_EQ(detail(6.03e-5), "m 6.03e-05 <= 0.0002");
    EXPECT_EQ(detail(0.00020000001), "m 0.00020000001 > 0.0002");
}

TEST(IdentityTest, ExactEqualityLooksAtEverySample) {
    const IdentityCheck same{"a", {"b"}, 0};
    EXPECT_EQ(verdict_of(same, samples("a", {1, 2}) + samples("b", {1, 2})), Verdict::kPass);
    EXPECT_EQ(verdict_of(same, samples("a", {1, 2, 3}) + samples("b", {1, 9, 3})), Verdict::kFail);
    EXPECT_EQ(verdict_of(same, samples("a", {5, 5}) + samples("b", {5})), Verdict::kPass)
        << "one sample is a constant";
    EXPECT_EQ(verdict_of(same, samples("a", {5, 6}) + samples("b", {5})), Verdict::kFail);
    EXPECT_EQ(verdict_of(same, samples("a", {std::nan("")}) + samples("b", {std::nan("")})), Verdict::kFail);
    EXPECT_EQ(verdict_of(same, samples("a", {1, 2, 3}) + samples("b", {1, 2})), Verdict::kNoReference);
}

TEST(IdentityTest, PartsMustAddUpWithinTheTolerance) {
    const IdentityCheck sum{"total", {"x", "y"}, 0.1};
    EXPECT_EQ(verdict_of(sum, samples("total", {10, 10, 30}) + samples("x", {4}) + samples("y", {5})),
              Verdict::kPass);
    EXPECT_EQ(verdict_of(sum, samples("total", {10}) + samples("x", {4}) + samples("y", {4})),
              Verdict::kFail);
    // The published report's decode table: three branches of 100 % each.
    EXPECT_EQ(verdict_of(IdentityCheck{"t", {"cmp", "sel", "win"}, 0.15},
                         samples("t", {5.96}) + samples("cmp", {6.19}) + samples("sel", {6.03}) +
                             samples("win", {6.02})),
              Verdict::kFail);
}

TEST(IdentityTest, WithoutTheOtherSideThereIsNoReference) {
    EXPECT_EQ(verdict_of(IdentityCheck{"a", {"b"}, 0}, samples("a", {1})), Verdict::kNoReference);
    EXPECT_EQ(verdict_of(IdentityCheck{"a", {"b"}, 0},
                         samples("a", {1}, {{"S", "1"}}) + samples("b", {1}, {{"S", "2"}})),
              Verdict::kNoReference);
    EXPECT_EQ(verdict_of(IdentityCheck{"a", {"b"}, 0}, samples("b", {1})), Verdict::kError);
}

TEST(FiniteTest, NanInfinityAndNothingAreNotFinite) {
    EXPECT_EQ(verdict_of(FiniteCheck{{"m"}}, samples("m", {1, -1e300})), Verdict::kPass);
    EXPECT_EQ(verdict_of(FiniteCheck{{"m"}}, samples("m", {1, std::nan("")})), Verdict::kFail);
    EXPECT_EQ(verdict_of(FiniteCheck{{"m"}}, samples("m", {HUGE_VAL})), Verdict::kFail);
    EXPECT_EQ(verdict_of(FiniteCheck{{"m"}}, {}), Verdict::kError);
    EXPECT_EQ(results_of(FiniteCheck{{"m", "n"}}, samples("m", {1})).size(), 2U);
}

TEST(MinSamplesTest, TooFewIsInconclusiveAndNoneIsAnError) {
    EXPECT_EQ(verdict_of(MinSamplesCheck{"m", 2}, samples("m", {1, 1})), Verdict::kPass);
    EXPECT_EQ(verdict_of(MinSamplesCheck{"m", 2}, samples("m", {1})), Verdict::kInconclusive);
    EXPECT_EQ(verdict_of(MinSamplesCheck{"m", 2}, {}), Verdict::kError);
}

TEST(TrendTest, ComparesTheLastThirdWithTheFirst) {
    const TrendCheck down{"m", Direction::kDecreasing}, up{"m", Direction::kIncreasing};
    EXPECT_EQ(verdict_of(down, samples("m", {5, 9, 1, 4})), Verdict::kPass);
    EXPECT_EQ(verdict_of(up, samples("m", {5, 9, 1, 4})), Verdict::kFail);
    EXPECT_EQ(verdict_of(down, samples("m", {4, 4, 4})), Verdict::kFail);
    EXPECT_EQ(verdict_of(down, samples("m", {4, 4, std::nan("")})), Verdict::kFail);
    EXPECT_EQ(verdict_of(down, samples("m", {4, 3})), Verdict::kInconclusive);
    EXPECT_EQ(verdict_of(down, {}), Verdict::kError);
}

TEST(TrendTest, OrdersSamplesByIndexNotByArrival) {
    const std::vector<Record> shuffled{Measurement{"m", 1, "", {}, 2}, Measurement{"m", 9, "", {}, 0},
                                       Measurement{"m", 5, "", {}, 1}};
    EXPECT_EQ(verdict_of(TrendCheck{"m", Direction::kDecreasing}, shuffled), Verdict::kPass);
}

TEST(FactTest, ComparesTexts) {
    const std::vector<Record> records{Fact{"route_taken", "sdpa", {{"branch", "sliding"}}}};
    EXPECT_EQ(verdict_of(FactCheck{"route_taken", "sdpa"}, records), Verdict::kPass);
    EXPECT_EQ(verdict_of(FactCheck{"route_taken", "fa2_dense"}, records), Verdict::kFail);
    EXPECT_EQ(verdict_of(FactCheck{"other", "x"}, records), Verdict::kError);
}

TEST(RequirementTest, ComparesDottedVersionsAsNumbers) {
    const auto with = [](const char* have, const char* want) {
        return verdict_of(RequirementCheck{"v", want}, {Fact{"v", have, {}}});
    };
    EXPECT_EQ(with("2.10.0+cu130", "2.9"), Verdict::kPass);
    EXPECT_EQ(with("2.6", "2.6.0"), Verdict::kPass);
    EXPECT_EQ(with("2.5.9", "2.6"), Verdict::kFail);
    EXPECT_EQ(with("85899345920", "80"), Verdict::kPass);
    EXPECT_EQ(with("unknown", "1"), Verdict::kFail);
    EXPECT_EQ(with("anything", ""), Verdict::kPass);
}

TEST(RequirementTest, WhatTheHostLacksFails) {
    EXPECT_EQ(verdict_of(RequirementCheck{"gpu_name", ""}, {}), Verdict::kFail);
    EXPECT_EQ(verdict_of(RequirementCheck{"driver", ""}, {Fact{"driver", "", {}}}), Verdict::kFail);
}

TEST(MedianTest, IsTheMiddleOrTheMeanOfTheTwo) {
    EXPECT_EQ(median({3}), 3);
    EXPECT_EQ(median({5, 1, 3}), 3);
    EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
    EXPECT_EQ(median({HUGE_VAL, HUGE_VAL}), HUGE_VAL);
    EXPECT_EQ(median({1e308, 1.7e308}), 1.35e308);
    EXPECT_TRUE(std::isnan(median({})));
    EXPECT_TRUE(std::isnan(median({1, std::nan(""), 2})));
}

TEST(QuantileTest, LiesBetweenTheNeighboursOfItsPlace) {
    EXPECT_EQ(quantile({3}, 0.25), 3);
    EXPECT_EQ(quantile({4, 2, 3, 1, 5}, 0.25), 2);
    EXPECT_EQ(quantile({4, 2, 3, 1, 5}, 1), 5);
    EXPECT_EQ(quantile({1, 2}, 0.75), 1.75);
    EXPECT_EQ(quantile({1, 2, 3, 4}, 0.5), median({1, 2, 3, 4}));
    EXPECT_EQ(quantile({HUGE_VAL, HUGE_VAL}, 0.5), HUGE_VAL);
    EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
    EXPECT_TRUE(std::isnan(quantile({1, std::nan(""), 2}, 0.5)));
}

std::vector<Check> one_check_of_each_rule() {
    return {{"a", ThresholdCheck{"mae", Op::kLessEqual, 2e-4, "1", Aggregate::kMax, 0.05}, Level::kGate,
             "x.yaml:1:2"},
            {"b", IdentityCheck{"t", {"a", "b"}, 0.1}, Level::kWarn, ""},
            {"c", FiniteCheck{{"a", "b"}}, Level::kInfo, "kind parity"},
            {"d", MinSamplesCheck{"m", 9}, Level::kGate, ""},
            {"e", TrendCheck{"loss", Direction::kIncreasing}, Level::kGate, ""},
            {"f", FactCheck{"route", "x"}, Level::kGate, ""},
            {"g", RequirementCheck{"torch_version", "2.6"}, Level::kGate, ""}};
}

TEST(CheckTest, EveryRuleRoundTripsThroughJson) {
    ASSERT_EQ(one_check_of_each_rule().size(), std::variant_size_v<CheckRule>);
    for (const Check& check : one_check_of_each_rule()) {
        const Result<Check> back = check_from_json(to_json(check));
        ASSERT_TRUE(back) << back.error().describe();
        EXPECT_EQ(*back, check);
    }
    EXPECT_EQ(check_from_json(boost::json::parse(R"({"id":"a","rule":"odd"})")).error().describe(),
              "check.rule: unknown rule 'odd'");
}

TEST(CheckTest, EveryRuleHasItsText) {
    std::vector<std::string> texts;
    for (const Check& check : one_check_of_each_rule())
        texts.push_back(describe(check.rule));
    EXPECT_THAT(texts, ElementsAre("max(mae) <= 0.0002 1 (tolerance 5%)", "t = a + b (tolerance 10%)",
                                   "finite a, b", "samples of m >= 9", "loss is increasing", "route is 'x'",
                                   "torch_version >= 2.6"));
}

}  // namespace
}  // namespace nsa::language
