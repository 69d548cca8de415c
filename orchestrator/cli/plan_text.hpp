// A plan for people and programs. Pure.
#pragma once

#include <string>

#include "cli/text.hpp"
#include "language/plan.hpp"

namespace nsa::cli {

// What would run, in order, with its limits and thresholds.
std::string plan_text(const language::Plan& plan, Paint paint);
std::string plan_json(const language::Plan& plan);

// "5 steps, 9 cases, 31 checks"
std::string plan_counts(const language::Plan& plan);

}  // namespace nsa::cli
