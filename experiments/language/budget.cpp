// The ceiling of a plan and its budget. Every limit that is added up here is enforced by the worker or the
// scheduler while the run executes; only a link that is down keeps a host longer.
#include "language/budget.hpp"

#include "language/text.hpp"

namespace nsa::language {

namespace {

constexpr double kMsPerHour = 3'600'000;

Error over(const std::string& what) {
    return fail(ErrorCode::kInvalidSpec,
                what + "; lower timeouts, retry.max or the number of cases, or raise the budget", "budget");
}

}  // namespace

Duration longest_on_host(const Plan& plan) {
    Duration once = plan.timeouts.provision + plan.timeouts.setup + plan.timeouts.pull;
    for (const PlannedCase& planned : plan.cases)
        once += planned.timeout;
    return once * (1 + (plan.retry.on.empty() ? 0 : plan.retry.max));
}

double highest_price(const Plan& plan) {
    return static_cast<double>(longest_on_host(plan).count()) / kMsPerHour * plan.budget.hourly;
}

std::string describe(Duration duration) {
    struct Unit {
        std::int64_t ms;
        const char* name;
    };
    std::string text;
    std::int64_t left = duration.count();
    for (const Unit& unit : {Unit{3'600'000, "h"}, Unit{60'000, "m"}, Unit{1'000, "s"}, Unit{1, "ms"}}) {
        const std::int64_t whole = left / unit.ms;
        left %= unit.ms;
        if (whole > 0) text += (text.empty() ? "" : " ") + std::to_string(whole) + unit.name;
    }
    return text.empty() ? "0s" : text;
}

Result<void> check_budget(const Plan& plan) {
    const Duration longest = longest_on_host(plan);
    if (plan.budget.wall.count() > 0 && longest > plan.budget.wall) {
        return over("the limits allow " + describe(longest) + " on the host, the budget is " +
                    describe(plan.budget.wall));
    }
    if (plan.budget.total > 0 && highest_price(plan) > plan.budget.total) {
        return over("the limits allow " + describe(longest) + " on the host, " +
                    format_number(highest_price(plan)) + " at " + format_number(plan.budget.hourly) +
                    " an hour; the budget is " + format_number(plan.budget.total));
    }
    return {};
}

}  // namespace nsa::language
