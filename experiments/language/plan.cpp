#include "language/plan.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <span>

#include "language/budget.hpp"
#include "language/environment.hpp"
#include "language/hash.hpp"
#include "language/kind.hpp"
#include "language/matrix.hpp"
#include "language/params.hpp"
#include "language/repeat.hpp"
#include "language/text.hpp"

namespace nsa::language {

namespace json = boost::json;

namespace {

// A plan travels in one frame of 4 MiB together with the spec (at most 1 MiB).
constexpr std::size_t kMostPlanBytes = std::size_t{3} << 20;

// Every case of a step may need every case of another: bounded like the cases themselves.
constexpr std::size_t kMostNeeds = 65536;

// A step with its points: of the matrix, or, for those that need it, of all repetitions.
struct ExpandedStep {
    std::string id;
    std::vector<MatrixPoint> points;
};

using EarlierSteps = std::span<const ExpandedStep>;

Error at(const Step& step, Error error) {
    return fail(error.code, "step '" + step.id + "': " + error.text, step.source);
}

Error at(const Step& step, const std::string& text) {
    return at(step, fail(ErrorCode::kInvalidSpec, text));
}

// Two points belong together when they agree on every key that both have.
bool agree(const MatrixPoint& a, const MatrixPoint& b) {
    return std::all_of(a.begin(), a.end(), [&](const auto& entry) {
        const auto other = b.find(entry.first);
        return other == b.end() || other->second == entry.second;
    });
}

Result<std::vector<CaseKey>> needed_cases(const Step& step, const MatrixPoint& point, EarlierSteps earlier) {
    std::vector<CaseKey> keys;
    for (const std::string& need : step.needs) {
        const auto found = std::find_if(earlier.begin(), earlier.end(),
                                        [&](const ExpandedStep& other) { return other.id == need; });
        if (found == earlier.end()) {
            std::vector<std::string_view> ids;
            for (const ExpandedStep& other : earlier)
                ids.push_back(other.id);
            const std::string_view near = nearest_word(need, ids);
            return at(step, "needs '" + printable(need) + "', which is no earlier step" +
                                (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?"));
        }
        for (const MatrixPoint& other : found->points) {
            if (agree(point, other)) keys.push_back(case_key(need, other));
        }
    }
    return keys;
}

// Ids are made from the rules; the second check with the same text gets " #2".
void assign_check_ids(std::vector<Check>& checks) {
    std::map<std::string, int> seen;
    for (Check& check : checks) {
        check.id = describe(check.rule);
        const int count = ++seen[check.id];
        if (count > 1) check.id += " #" + std::to_string(count);
    }
}

Result<std::map<std::string, std::string>> merged_env(const ExperimentSpec& spec, const Step& step) {
    std::map<std::string, std::string> env = step.env;
    env.insert(spec.env.begin(), spec.env.end());
    std::optional<EnvFault> fault = env_fault(env);
    for (const auto& [name, value] : env) {
        if (!fault) fault = env_fault(name, value);
    }
    if (fault) {
        return at(step, "env: " + fault->text + "; expected " + fault->expected +
                            (fault->suggestion.empty() ? "" : "; did you mean '" + fault->suggestion + "'?"));
    }
    return env;
}

// A warm-up demands nothing and waits for nothing: it is run for what it does to the host.
void make_warmup(PlannedCase& planned) {
    planned.warmup = true;
    planned.needs.clear();
    planned.checks.clear();
    planned.expected.clear();
    planned.quotas.clear();
    planned.xfail.reset();
}

Result<PlannedCase> plan_case(const ExperimentSpec& spec, const Step& authored, const MatrixPoint& point,
                              EarlierSteps earlier) {
    const StepKind* kind = find_step_kind(authored.kind);
    if (kind == nullptr) return at(authored, "unknown kind '" + printable(authored.kind) + "'");
    const Step step = substituted(authored, point);
    PlannedCase planned;
    planned.key = case_key(step.id, point);
    planned.step = step.id;
    planned.kind = step.kind;
    planned.title = step.title.empty() ? step.id : step.title;
    for (const auto& [name, value] : point)
        planned.matrix.emplace(name, to_string(value));
    planned.timeout = step.timeout.value_or(spec.timeouts.run);
    planned.silence = step.silence.value_or(spec.timeouts.silence);
    planned.artifacts = step.artifacts;
    planned.parsers = step.metrics;
    planned.checks = step.checks;
    planned.xfail = step.xfail;

    Result<std::vector<CaseKey>> needs = needed_cases(step, point, earlier);
    if (!needs) return needs.error();
    planned.needs = std::move(*needs);
    Result<std::map<std::string, std::string>> env = merged_env(spec, step);
    if (!env) return env.error();
    planned.env = std::move(*env);
    Result<Params> params = complete_params(kind->params(), step.params);
    if (!params) return at(step, params.error());
    planned.params = std::move(*params);
    if (!step.run.empty() && step.kind != "command") return at(step, "'run' belongs to kind command");
    if (const Result<void> filled = kind->fill(step, planned); !filled) return at(step, filled.error());
    assign_check_ids(planned.checks);
    return planned;
}

Result<std::vector<ExpandedStep>> expand(const ExperimentSpec& spec) {
    std::vector<ExpandedStep> expanded;
    std::set<std::string> used, ids;
    std::size_t cases = 0;
    for (const Step& step : spec.steps) {
        if (!ids.insert(step.id).second) return at(step, "the id is taken by an earlier step");
        Result<std::set<std::string>> keys = keys_used_by(step, spec.matrix);
        if (!keys) return at(step, keys.error());
        cases += count_points(spec.matrix, *keys) * repetitions(spec.repeat).size();
        if (cases > kMostCases) {
            return at(step, "matrix and repetitions make more than " + std::to_string(kMostCases) +
                                " cases; use fewer");
        }
        expanded.push_back({step.id, points_of(spec.matrix, *keys)});
        used.insert(keys->begin(), keys->end());
    }
    for (const auto& [key, values] : spec.matrix) {
        if (!used.contains(key)) {
            return fail(ErrorCode::kInvalidSpec,
                        "matrix key '" + key + "' is used by no step; write ${{ matrix." + key + " }} in one",
                        spec.name);
        }
    }
    return expanded;
}

// Adds case by case and counts what is bounded over all of them.
struct Planner {
    const ExperimentSpec& spec;
    const std::vector<ExpandedStep>& repeated;
    std::vector<PlannedCase>& cases;
    std::size_t needs = 0;

    Result<void> add(std::size_t index, const MatrixPoint& point, const Repetition& repetition) {
        const Step& step = spec.steps[index];
        Result<PlannedCase> planned =
            plan_case(spec, step, at_repetition(point, repetition), EarlierSteps(repeated).first(index));
        if (!planned) return planned.error();
        if (repetition.warmup) make_warmup(*planned);
        needs += planned->needs.size();
        if (needs > kMostNeeds)
            return at(step, "needs too many cases; let both steps use the same matrix keys");
        cases.push_back(std::move(*planned));
        return {};
    }
};

Result<void> plan_cases(const ExperimentSpec& spec, const std::vector<ExpandedStep>& steps,
                        std::vector<PlannedCase>& cases) {
    const std::vector<Repetition> all = repetitions(spec.repeat);
    std::vector<ExpandedStep> repeated;
    for (const ExpandedStep& step : steps) {
        repeated.push_back({step.id, {}});
        for (const MatrixPoint& point : step.points) {
            for (const Repetition& repetition : all)
                repeated.back().points.push_back(at_repetition(point, repetition));
        }
    }
    Planner planner{spec, repeated, cases};
    // Interleaved, what drifts on the host (clocks, heat, neighbours) meets every case alike.
    const std::span<const Repetition> rounds(all);
    const std::size_t at_once = spec.repeat.interleave ? 1 : all.size();
    for (std::size_t first = 0; first < all.size(); first += at_once) {
        for (std::size_t i = 0; i < steps.size(); ++i) {
            for (const MatrixPoint& point : steps[i].points) {
                for (const Repetition& repetition : rounds.subspan(first, at_once)) {
                    if (Result<void> added = planner.add(i, point, repetition); !added) return added;
                }
            }
        }
    }
    return {};
}

// For reports; journal lines carry it, so it is bounded.
std::string setup_title(const std::vector<std::string>& argv) {
    constexpr std::size_t kLongest = 200;
    return printable(join(argv, " "), kLongest);
}

// Places and comments of the spec do not count, so that only an edit of what is demanded changes the hash.
Sha256 hash_thresholds(const std::vector<PlannedCase>& cases) {
    Sha256Hasher hasher;
    for (const PlannedCase& planned : cases) {
        PlannedCase demands;
        demands.key = planned.key;
        demands.checks = planned.checks;
        for (Check& check : demands.checks)
            check.source.clear();
        demands.expected = planned.expected;
        demands.quotas = planned.quotas;
        demands.exit_code_is_verdict = planned.exit_code_is_verdict;
        demands.warmup = planned.warmup;
        demands.route_asked = planned.route_asked;
        demands.xfail = planned.xfail;
        hasher.update(json::serialize(to_json(demands)) + "\n");
    }
    return hasher.finish();
}

}  // namespace

Result<Plan> make_plan(const ExperimentSpec& spec, std::string_view spec_text) {
    if (spec.steps.empty())
        return fail(ErrorCode::kInvalidSpec, "an experiment needs at least one step", spec.name);
    if (spec.repeat.is_asked() && spec.matrix.contains(std::string(kRepeatKey)))
        return fail(ErrorCode::kInvalidSpec, "the matrix key 'repeat' is taken by repeat", spec.name);
    for (const auto& [name, value] : spec.env) {
        if (value.find("${{") == std::string::npos) continue;
        return fail(ErrorCode::kInvalidSpec, "env '" + name + "': only the env of a step may use the matrix",
                    spec.name);
    }
    Result<std::vector<ExpandedStep>> expanded = expand(spec);
    if (!expanded) return expanded.error();
    Plan plan;
    plan.name = spec.name;
    plan.subject = spec.subject;
    plan.spec_hash = sha256_of(spec_text);
    plan.timeouts = spec.timeouts;
    plan.retry = spec.retry;
    plan.repeat = spec.repeat;
    plan.budget = spec.budget;
    plan.target = spec.target;
    plan.code = spec.code;
    plan.report = spec.report;
    if (plan.report.subject.empty()) plan.report.subject = spec.subject.empty() ? spec.name : spec.subject;
    for (const std::vector<std::string>& argv : spec.setup) {
        plan.setup.push_back({argv, spec.env, "", setup_title(argv)});
    }
    if (Result<void> planned = plan_cases(spec, *expanded, plan.cases); !planned) return planned.error();
    if (Result<void> within = check_budget(plan); !within) return within.error();
    const bool uses_core = std::any_of(plan.cases.begin(), plan.cases.end(), [](const PlannedCase& planned) {
        return planned.argv.front() == "nsa-core";
    });
    if (uses_core) plan.tools = {"nsa-core"};
    plan.thresholds_hash = hash_thresholds(plan.cases);
    if (const std::size_t bytes = to_text(plan).size(); bytes > kMostPlanBytes) {
        return fail(ErrorCode::kInvalidSpec,
                    "the plan takes " + std::to_string(bytes) + " bytes, at most " +
                        std::to_string(kMostPlanBytes) + " can be sent to a host; use fewer cases",
                    spec.name);
    }
    return plan;
}

}  // namespace nsa::language
