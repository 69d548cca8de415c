#include <algorithm>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

void run_nsa_core(std::string_view subcommand, std::span<const ParamSchema> schema, PlannedCase& planned) {
    planned.argv = {"nsa-core", std::string(subcommand)};
    for (const ParamSchema& param : schema) {
        const auto value = planned.params.find(std::string(param.name));
        if (value == planned.params.end()) continue;
        std::string flag = "--" + std::string(param.name);
        std::replace(flag.begin(), flag.end(), '_', '-');
        planned.argv.push_back(std::move(flag));
        planned.argv.push_back(to_string(value->second));
    }
    planned.skip_exit_code = true;
    for (const char* pattern : {"*.csv", "*.json"}) {
        if (std::find(planned.artifacts.begin(), planned.artifacts.end(), pattern) ==
            planned.artifacts.end()) {
            planned.artifacts.emplace_back(pattern);
        }
    }
}

int list_size(const Params& params, const std::string& name) {
    return static_cast<int>(std::get<std::vector<Scalar>>(params.at(name)).size());
}

namespace {

Result<void> divides(const Params& params, const std::string& part, const std::string& whole) {
    if (!params.contains(part) || !params.contains(whole)) return {};
    const std::int64_t divisor = int_param(params, part);
    const std::int64_t number = int_param(params, whole);
    if (number % divisor == 0) return {};
    return fail(ErrorCode::kInvalidSpec, "param '" + part + "': expected a divisor of " + whole +
                                             ", which is " + std::to_string(number) + ", found '" +
                                             std::to_string(divisor) + "'");
}

}  // namespace

Result<void> check_shape(const Params& params) {
    for (const auto& [part, whole] : {std::pair{"groups", "heads"}, {"d", "l"}, {"d", "l_sel"}}) {
        if (const Result<void> fits = divides(params, part, whole); !fits) return fits;
    }
    return {};
}

Result<void> check_model(const Params& params) {
    if (int_param(params, "dk") % 2 == 0) return check_shape(params);
    return fail(ErrorCode::kInvalidSpec,
                "param 'dk': expected an even number, for rotary positions, found '" +
                    std::to_string(int_param(params, "dk")) + "'");
}

Result<void> check_page(const Params& params) {
    const std::int64_t page = int_param(params, "page");
    const std::int64_t block = int_param(params, "l_sel");
    if (page % block == 0) return {};
    return fail(ErrorCode::kInvalidSpec, "param 'page': expected a multiple of l_sel, which is " +
                                             std::to_string(block) + ", found '" + std::to_string(page) +
                                             "'");
}

bool has_bound(const PlannedCase& planned) {
    return std::any_of(planned.checks.begin(), planned.checks.end(), [](const Check& check) {
        return check.level == Level::kGate && std::holds_alternative<ThresholdCheck>(check.rule);
    });
}

namespace {

// What two rules must share for the author's to replace the default. Finite checks are compared metric by
// metric.
std::string subject_key(const CheckRule& rule) {
    if (const auto* threshold = std::get_if<ThresholdCheck>(&rule)) return threshold->metric;
    if (const auto* identity = std::get_if<IdentityCheck>(&rule)) return identity->total;
    if (const auto* samples = std::get_if<MinSamplesCheck>(&rule)) return samples->metric;
    if (const auto* trend = std::get_if<TrendCheck>(&rule)) return trend->metric;
    if (const auto* fact = std::get_if<FactCheck>(&rule)) return fact->fact;
    if (const auto* requirement = std::get_if<RequirementCheck>(&rule)) return requirement->fact;
    return {};
}

}  // namespace

void add_default_check(PlannedCase& planned, CheckRule rule, Level level) {
    for (const Check& check : planned.checks) {
        if (check.rule.index() != rule.index()) continue;
        if (auto* finite = std::get_if<FiniteCheck>(&rule)) {
            for (const std::string& metric : std::get<FiniteCheck>(check.rule).metrics)
                std::erase(finite->metrics, metric);
            if (finite->metrics.empty()) return;
        } else if (subject_key(check.rule) == subject_key(rule)) {
            return;
        }
    }
    planned.checks.push_back({"", std::move(rule), level, "kind " + planned.kind});
}

}  // namespace nsa::language
