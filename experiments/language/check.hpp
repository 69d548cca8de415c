// A check: what must hold for a step's measurements. Values only; judge.hpp evaluates them.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "language/result.hpp"
#include "language/verdict.hpp"

namespace nsa::language {

enum class Op { kLess, kLessEqual, kGreater, kGreaterEqual, kEqual };
std::string_view to_string(Op op);  // "<", "<=", ...

enum class Aggregate { kMedian, kMin, kMax, kLast, kMean, kEach };  // of a row's samples; kEach: every sample

// `metric op value unit`, on every row (label set) that has the metric.
struct ThresholdCheck {
    std::string metric;
    Op op = Op::kLessEqual;
    double value = 0;
    std::string unit;
    Aggregate aggregate = Aggregate::kMedian;
    double tolerance = 0;  // relative slack in the forgiving direction; 0 = strict

    bool operator==(const ThresholdCheck&) const = default;
};

// total = sum of parts: medians within a relative tolerance; with tolerance 0 every sample, exactly.
struct IdentityCheck {
    std::string total;
    std::vector<std::string> parts;
    double tolerance = 0;

    bool operator==(const IdentityCheck&) const = default;
};

struct FiniteCheck {
    std::vector<std::string> metrics;  // no NaN or infinity, at least one sample

    bool operator==(const FiniteCheck&) const = default;
};

struct MinSamplesCheck {
    std::string metric;
    int count = 1;

    bool operator==(const MinSamplesCheck&) const = default;
};

enum class Direction { kDecreasing, kIncreasing };

// Over samples in order: mean of the last third against mean of the first third.
struct TrendCheck {
    std::string metric;
    Direction direction = Direction::kDecreasing;

    bool operator==(const TrendCheck&) const = default;
};

// A text fact equals an expected value: `fact: route_taken, equals: fa2_dense`.
struct FactCheck {
    std::string fact;
    std::string equals;

    bool operator==(const FactCheck&) const = default;
};

// What a host must offer: the fact is known and not empty and, as a dotted version, at least `at_least`.
struct RequirementCheck {
    std::string fact;
    std::string at_least;  // "2.6"; empty: presence is enough

    bool operator==(const RequirementCheck&) const = default;
};

using CheckRule = std::variant<ThresholdCheck, IdentityCheck, FiniteCheck, MinSamplesCheck, TrendCheck,
                               FactCheck, RequirementCheck>;

struct Check {
    std::string id;  // "mae <= 0.0002 1": made from the rule, unique in its step
    CheckRule rule;
    Level level = Level::kGate;
    std::string source;  // "spec.yaml:31:9" or "kind parity" when the step kind adds it

    bool operator==(const Check&) const = default;
};

// The text of a rule, as used in reports and ids.
std::string describe(const CheckRule& rule);

// "2.6", "12.1.3": digits and single dots.
bool is_dotted_version(std::string_view text);

boost::json::value to_json(const Check& check);
Result<Check> check_from_json(const boost::json::value& value);

}  // namespace nsa::language
