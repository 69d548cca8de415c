// Evaluates one check on a case's observations: one result per row that has the metric. For the judge;
// reports ask subject_of.
#pragma once

#include <vector>

#include "language/judge.hpp"
#include "language/series.hpp"

namespace nsa::language {

// The metric whose samples a rule judges; "" for rules on facts or on several metrics.
std::string_view subject_of(const CheckRule& rule);

std::vector<CheckResult> evaluate(const Check& check, const Observations& seen);

}  // namespace nsa::language
