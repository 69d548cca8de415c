// What a run may take of its host at the very most, known before anything is spent.
#pragma once

#include <string>

#include "language/plan.hpp"

namespace nsa::language {

// The most host time that the plan's limits allow, over all tries: connecting, set-up, every case, bringing
// the files home. Waiting for a host is not in it.
Duration longest_on_host(const Plan& plan);

// The same in the currency of budget.hourly; zero when that is not stated.
double highest_price(const Plan& plan);

// kInvalidSpec when the limits allow more than the budget.
Result<void> check_budget(const Plan& plan);

// In its units that are not 0, exactly: "5h 12m", "1s 500ms"; "0s" for nothing.
std::string describe(Duration duration);

}  // namespace nsa::language
