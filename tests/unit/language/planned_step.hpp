// A spec of one step, planned: what its case is, or why there is none.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "language/plan.hpp"

namespace nsa::language {

inline Scalar text(const char* value) {
    return std::string(value);
}
inline Scalar number(std::int64_t value) {
    return value;
}

inline Result<Plan> plan_step(Step step) {
    ExperimentSpec spec;
    spec.name = "x";
    step.id = "s";
    spec.steps = {std::move(step)};
    return make_plan(spec, "");
}

inline PlannedCase planned(Step step) {
    Result<Plan> plan = plan_step(std::move(step));
    EXPECT_TRUE(plan) << plan.error().describe();
    return plan ? plan->cases[0] : PlannedCase{};
}

inline std::string error_of(Step step) {
    const Result<Plan> plan = plan_step(std::move(step));
    return plan ? "no error" : plan.error().describe();
}

}  // namespace nsa::language
