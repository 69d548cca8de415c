// What model cases show: gates that collapsed, loss curves that part, memory that grows, golden files that
// disagree.
#include <algorithm>
#include <cmath>

#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

// "of layer 1" where the row has a layer.
std::string where(const language::Labels& labels) {
    const auto layer = labels.find("layer");
    return layer == labels.end() ? "" : " of layer " + clean(layer->second, 20);
}

void find_collapse(const CaseFacts& one, std::vector<Finding>& findings) {
    for (const Series& series : one.series) {
        const bool ever =
            std::any_of(series.samples.begin(), series.samples.end(), [](double s) { return s != 0; });
        if (series.metric != "gate_collapsed" || !ever) continue;
        const std::optional<double> entropy = median_of(one, "gate_entropy", series.labels);
        findings.push_back({"gates_collapsed",
                            Certainty::kObserved,
                            name_of(one) + ": the gates" + where(series.labels) + " have collapsed" +
                                (entropy ? ", their entropy is " + number(*entropy) : "") +
                                ": what the branches compute is hardly mixed.",
                            {{one.planned.key, "gate_collapsed, gate_entropy"}}});
    }
}

void find_gap(const CaseFacts& one, std::vector<Finding>& findings) {
    const Series* gap = find_series(one, "loss_gap");
    if (gap == nullptr || gap->samples.empty()) return;
    const auto worst = std::max_element(gap->samples.begin(), gap->samples.end(), [](double a, double b) {
        return !std::isnan(a) && (std::isnan(b) || a < b);  // NaN is the worst
    });
    findings.push_back({"routes_train_alike",
                        Certainty::kObserved,
                        name_of(one) + ": the losses of route '" + param_of(one, "route") + "' and of '" +
                            param_of(one, "compare_route") + "' differ by at most " + number(*worst) +
                            " of themselves, at step " + std::to_string(worst - gap->samples.begin()) +
                            " of " + plural(gap->samples.size(), "step") + ".",
                        {{one.planned.key, "loss_gap"}}});
}

void find_growth(const CaseFacts& one, std::vector<Finding>& findings) {
    for (const Series& series : one.series) {
        if (series.metric != "exponent_last" || series.samples.empty()) continue;
        const auto label = [&](const char* name) {
            const auto found = series.labels.find(name);
            return found == series.labels.end() ? std::string("?") : clean(found->second, 40);
        };
        findings.push_back({"memory_growth",
                            Certainty::kObserved,
                            name_of(one) + ": memory of " + label("pass") + " by route '" + label("route") +
                                "' grows as S^" + number(median_of(series)) +
                                " between the two longest lengths.",
                            {{one.planned.key, "exponent_last, peak_bytes"}}});
    }
}

void find_golden(const CaseFacts& one, std::vector<Finding>& findings) {
    const std::optional<double> mae = median_of(one, "mae"), file = median_of(one, "golden_vs_oracle_mae");
    if (!by_golden_file(one) || !mae || !file) return;
    const std::string producer = fact_of(one, "golden_producer");
    std::string text = name_of(one) + ": MAE " + number(*mae) + " to the golden file" +
                       (producer.empty() ? "" : " of '" + producer + "'") + ", which itself lies " +
                       number(*file) + " from the fp64 oracle.";
    // The route is as far from the file as the oracle is: route and oracle are on one side. A route nearer to
    // the file than the oracle shares its distance with it, and one much farther is off by itself.
    constexpr double kSameDistance = 0.1;
    const bool alone = one.judgement.verdict == language::Verdict::kFail &&
                       std::abs(*file - *mae) <= kSameDistance * std::max(*file, *mae);
    if (alone) text += " So the file is what stands alone, not the route.";
    findings.push_back({"golden_file",
                        alone ? Certainty::kInferred : Certainty::kObserved,
                        std::move(text),
                        {{one.planned.key, "mae, golden_vs_oracle_mae"}}});
}

}  // namespace

void find_in_health(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const CaseFacts& one : facts.cases) {
        find_golden(one, findings);
        find_gap(one, findings);
        find_collapse(one, findings);
        find_growth(one, findings);
    }
}

}  // namespace nsa::reports
