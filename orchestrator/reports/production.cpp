// The production configuration: per branch the fastest route that passed parity on a GPU. Speed counts only
// between decode steps, or forward passes of prefill, with the same parameters and length.
#include <algorithm>
#include <array>
#include <cmath>

#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using language::Verdict;

struct BranchWords {
    const char *branch, *metric, *use_flag;
};
constexpr std::array kBranches{BranchWords{"sliding", "ms_win", "NSA_USE_FA2_WIN"},
                               BranchWords{"compressed", "ms_cmp", "NSA_USE_FA2_CMP"},
                               BranchWords{"selected", "ms_sel", ""}};

bool is_fa2(std::string_view route) {
    return route.starts_with("fa2_");
}

// Routes that passed parity on a GPU in this run; an fp64 reference is not for production.
std::vector<std::pair<std::string, CaseKey>> passing_routes(const RunFacts& facts, std::string_view branch) {
    std::vector<std::pair<std::string, CaseKey>> routes;
    for (const CaseFacts& one : facts.cases) {
        if (one.planned.kind != "parity" || param_of(one, "branch") != branch) continue;
        if (one.judgement.verdict != Verdict::kPass || !ran_on_gpu(one) || is_published_oracle(one)) continue;
        const std::string route = fact_of(one, "route_taken");
        const bool known = std::any_of(routes.begin(), routes.end(),
                                       [&](const auto& entry) { return entry.first == route; });
        if (!route.empty() && route != "reference" && !known) routes.emplace_back(route, one.planned.key);
    }
    return routes;
}

// A route fails when any of its parity cases of the branch failed: a pass at one shape does not outweigh it.
bool has_failed(const RunFacts& facts, std::string_view branch, std::string_view route) {
    return std::any_of(facts.cases.begin(), facts.cases.end(), [&](const CaseFacts& one) {
        return one.planned.kind == "parity" && param_of(one, "branch") == branch &&
               fact_of(one, "route_taken") == route && one.judgement.verdict == Verdict::kFail;
    });
}

struct Timing {
    std::string route;
    double ms = 0;
    const CaseFacts* bench = nullptr;
    language::Labels labels;
};

bool is_timed(const CaseFacts& one, const Series& series) {
    const auto pass = series.labels.find("pass");
    return one.planned.kind == "decode_bench" ||
           (one.planned.kind == "prefill_bench" && pass != series.labels.end() && pass->second == "forward");
}

// Times of the branch at the longest sequence of every passing bench on a GPU.
std::vector<Timing> timings(const RunFacts& facts, const BranchWords& words) {
    std::vector<Timing> found;
    for (const CaseFacts& one : facts.cases) {
        if (one.judgement.verdict != Verdict::kPass || !ran_on_gpu(one)) continue;
        const Series* longest = nullptr;
        double most = 0;
        for (const Series& series : one.series) {
            const auto seq = series.labels.find("S");
            if (series.metric != words.metric || seq == series.labels.end() || series.samples.empty() ||
                !is_timed(one, series)) {
                continue;
            }
            const double length = std::strtod(seq->second.c_str(), nullptr);
            if (longest != nullptr && length <= most) continue;
            longest = &series;
            most = length;
        }
        const std::string route = fact_of(one, "route_taken", "branch", words.branch);
        if (longest != nullptr && !route.empty() && std::isfinite(median_of(*longest)))
            found.push_back({route, median_of(*longest), &one, longest->labels});
    }
    return found;
}

// A prefill bench is told its route by a parameter, a decode bench by flags: routes may differ, all else not.
bool comparable(const Timing& a, const Timing& b) {
    language::Params left = a.bench->planned.params, right = b.bench->planned.params;
    left.erase("route");
    right.erase("route");
    return a.bench->planned.kind == b.bench->planned.kind && a.labels == b.labels && left == right;
}

std::string dtype_of(const CaseFacts& bench) {
    const std::string dtype = fact_of(bench, "dtype");
    return dtype.empty() ? "" : " in " + dtype;
}

std::string names_of(const std::vector<std::pair<std::string, CaseKey>>& routes) {
    std::string names;
    for (const auto& [route, key] : routes)
        names += (names.empty() ? "" : ", ") + route;
    return names;
}

bool covers(const std::vector<Timing>& timed, const std::vector<std::pair<std::string, CaseKey>>& routes) {
    return std::all_of(routes.begin(), routes.end(), [&](const auto& entry) {
        return std::any_of(timed.begin(), timed.end(),
                           [&](const Timing& timing) { return timing.route == entry.first; });
    });
}

// Times of the passing routes with parameters of their own kind: the first such group with every route in it.
// Empty: not all were timed alike.
std::vector<Timing> timed_alike(const RunFacts& facts, const BranchWords& words,
                                const std::vector<std::pair<std::string, CaseKey>>& routes) {
    std::vector<Timing> all = timings(facts, words);
    std::erase_if(all, [&](const Timing& timing) {
        return std::none_of(routes.begin(), routes.end(),
                            [&](const auto& entry) { return entry.first == timing.route; });
    });
    for (const Timing& anchor : all) {
        std::vector<Timing> group;
        for (const Timing& timing : all) {
            if (comparable(anchor, timing)) group.push_back(timing);
        }
        if (covers(group, routes)) return group;
    }
    return {};
}

// Among several passing routes: the fastest when every one was timed alike, else the one that needs no flag.
BranchChoice choose_among(const RunFacts& facts, const BranchWords& words,
                          const std::vector<std::pair<std::string, CaseKey>>& routes) {
    BranchChoice choice{words.branch, "", "", std::nullopt, {}};
    for (const auto& [route, key] : routes)
        choice.evidence.push_back(key);
    const std::vector<Timing> timed = timed_alike(facts, words, routes);
    const auto fastest = std::min_element(timed.begin(), timed.end(),
                                          [](const Timing& a, const Timing& b) { return a.ms < b.ms; });
    if (fastest != timed.end()) {
        choice.route = fastest->route;
        choice.ms = fastest->ms;
        choice.evidence.push_back(fastest->bench->planned.key);
        choice.why = (routes.size() == 1 ? "the only route that passed parity here"
                                         : "fastest of the passing routes (" + names_of(routes) + ")") +
                     std::string(": ") + number(fastest->ms) + " ms of " + words.metric +
                     (fastest->bench->planned.kind == "prefill_bench" ? " forward" : "") +
                     " at S=" + fastest->labels.at("S") + dtype_of(*fastest->bench);
        return choice;
    }
    if (routes.size() == 1) {
        choice.route = routes.front().first;
        choice.why = "the only route that passed parity here; it was not timed";
        return choice;
    }
    const auto plain =
        std::find_if(routes.begin(), routes.end(), [](const auto& entry) { return !is_fa2(entry.first); });
    choice.route = plain == routes.end() ? routes.front().first : plain->first;
    choice.why = "several routes passed (" + names_of(routes) +
                 ") and not all were timed alike, so speed does not decide; this one needs no special path";
    return choice;
}

BranchChoice choose(const RunFacts& facts, const BranchWords& words) {
    auto routes = passing_routes(facts, words.branch);
    std::erase_if(routes, [&](const auto& entry) { return has_failed(facts, words.branch, entry.first); });
    if (routes.empty())
        return {words.branch, "", "no route passed parity on a GPU in this run", std::nullopt, {}};
    return choose_among(facts, words, routes);
}

// The flags that make `choices` happen.
std::vector<std::string> env_of(const std::vector<BranchChoice>& choices) {
    std::vector<std::string> env;
    bool any_fa2 = false, any_dense = false, any_varlen = false;
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (kBranches[i].use_flag[0] == '\0') continue;
        // Without a recommendation the branch stays on the path that runs everywhere.
        const bool fa2 = is_fa2(choices[i].route);
        any_fa2 = any_fa2 || fa2;
        any_dense = any_dense || choices[i].route == "fa2_dense";
        any_varlen = any_varlen || choices[i].route == "fa2_varlen";
        env.push_back(std::string(kBranches[i].use_flag) + (fa2 ? "=1" : "=0"));
    }
    env.insert(env.begin(), std::string("NSA_USE_FA2=") + (any_fa2 ? "1" : "0"));
    if (any_varlen && !any_dense) env.emplace_back("NSA_FA2_FORCE_VARLEN=1");
    if (any_dense && !any_varlen) env.emplace_back("NSA_FA2_FORCE_DENSE=1");
    return env;
}

}  // namespace

ProductionConfig choose_production(const RunFacts& facts) {
    ProductionConfig config;
    for (const BranchWords& words : kBranches)
        config.branches.push_back(choose(facts, words));
    const bool any = std::any_of(config.branches.begin(), config.branches.end(),
                                 [](const BranchChoice& choice) { return !choice.route.empty(); });
    if (any) {
        config.env = env_of(config.branches);
    } else if (const std::string reason = no_gpu_reason(facts); !reason.empty()) {
        config.none_because = "no route was measured on a GPU: " + reason;
    } else {
        config.none_because = "no route passed a parity case on a GPU in this run";
    }
    return config;
}

}  // namespace nsa::reports
