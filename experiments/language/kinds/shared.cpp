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

Result<void> at_least_one(const Params& params, std::initializer_list<const char*> counts) {
    for (const char* name : counts) {
        if (params.contains(name) && int_param(params, name) == 0)
            return fail(ErrorCode::kInvalidSpec,
                        "param '" + std::string(name) + "': expected at least 1, found '0'");
    }
    return {};
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
