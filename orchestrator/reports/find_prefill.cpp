#include <algorithm>
#include <array>
#include <map>

#include "language/text.hpp"
#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using language::Labels;

constexpr std::array<std::string_view, 3> kPeers{"cudnn", "fa2", "sdpa"};

double length_of(const Series& series) {
    const auto seq = series.labels.find("S");
    return seq == series.labels.end() ? 0 : std::strtod(seq->second.c_str(), nullptr);
}

std::string pass_of(const Series& series) {
    const auto pass = series.labels.find("pass");
    return pass == series.labels.end() ? std::string{} : pass->second;
}

// The total of every pass at its longest sequence.
std::map<std::string, const Series*> longest_of(const CaseFacts& one) {
    std::map<std::string, const Series*> longest;
    for (const Series& series : one.series) {
        if (series.metric != "ms_total" || series.samples.empty()) continue;
        const Series*& known = longest[pass_of(series)];
        if (known == nullptr || length_of(series) > length_of(*known)) known = &series;
    }
    return longest;
}

std::string where(const Series& total) {
    return pass_of(total) + " at S=" + number(length_of(total));
}

void find_time(const CaseFacts& one, const Series& total, std::vector<Finding>& findings) {
    const double ms = median_of(total);
    std::string text = name_of(one) + ": " + where(total) + " takes " + number(ms) + " ms";
    if (const auto share = median_of(one, "percent_of_floor", total.labels))
        text += ", " + number(100 / *share) + " times its floor";
    findings.push_back({"prefill_time",
                        Certainty::kObserved,
                        text + ".",
                        {{one.planned.key, "ms_total, percent_of_floor"}}});
}

// The part that takes most, as a share of the parts' sum.
void find_share(const CaseFacts& one, const Series& total, std::vector<Finding>& findings) {
    constexpr std::array kParts{"ms_project", "ms_compress", "ms_cmp",    "ms_select",
                                "ms_sel",     "ms_win",      "ms_combine"};
    const std::optional<double> sum = median_of(one, "ms_parts", total.labels);
    if (!sum || !(*sum > 0)) return;
    double most = 0;
    std::string slowest;
    for (const char* part : kParts) {
        const std::optional<double> ms = median_of(one, part, total.labels);
        if (!ms || *ms <= most) continue;
        most = *ms;
        slowest = part;
    }
    if (slowest.empty()) return;
    findings.push_back({"prefill_share",
                        Certainty::kObserved,
                        name_of(one) + ": " + where(total) + ", the largest part is " + slowest + " with " +
                            percent(most / *sum) + " of the sum of parts; the parts sum to " +
                            percent(*sum / median_of(total)) + " of the measured total.",
                        {{one.planned.key, "ms_total, ms_parts, " + slowest}}});
}

// As the benchmark judged the row; "of unknown validity" when it did not.
std::string validity_of(const CaseFacts& one, const Labels& row) {
    for (const language::Fact& fact : one.facts) {
        if (fact.name == "validity" && fact.labels == row) return fact.value;
    }
    return "of unknown validity";
}

// A row that is INVALID is compared with nothing.
void find_full_attention(const CaseFacts& one, const Series& total, std::vector<Finding>& findings) {
    const std::string row = validity_of(one, total.labels);
    if (row == "INVALID") return;
    const bool certain = row == "VALID";
    const double ours = median_of(total);
    for (const std::string_view peer : kPeers) {
        const std::string metric = "ms_" + std::string(peer);
        const std::optional<double> theirs = median_of(one, metric, total.labels);
        if (!theirs || !(*theirs > 0) || !(ours > 0)) continue;
        const bool faster = ours < *theirs;
        findings.push_back({faster ? "prefill_faster_than_full" : "prefill_slower_than_full",
                            Certainty::kObserved,
                            name_of(one) + ": " + where(total) + ", sparse attention takes " + number(ours) +
                                " ms and full attention by " + std::string(peer) + " " + number(*theirs) +
                                " ms: " + number(faster ? *theirs / ours : ours / *theirs) + " times " +
                                (faster ? "faster" : "slower") +
                                (certain ? faster ? "." : "; there full attention is the right choice."
                                         : ", in a row that is " + row + "."),
                            {{one.planned.key, "ms_total, " + metric}}});
    }
}

std::string reason_beside(const CaseFacts& one, const language::Fact& validity) {
    for (const language::Fact& other : one.facts) {
        if (other.name == "validity_reason" && other.labels == validity.labels) return other.value;
    }
    return {};
}

// Rows that must not be read like the others: how many, and why the first of them.
void find_validity(const CaseFacts& one, std::vector<Finding>& findings) {
    constexpr std::size_t kMostNamed = 3;
    std::size_t rows = 0;
    std::map<std::string, std::vector<const language::Fact*>> doubtful;  // by verdict
    for (const language::Fact& fact : one.facts) {
        if (fact.name != "validity") continue;
        ++rows;
        if (fact.value != "VALID") doubtful[fact.value].push_back(&fact);
    }
    for (const auto& [verdict, facts] : doubtful) {
        std::string named;
        for (std::size_t i = 0; i < facts.size() && i < kMostNamed; ++i)
            named += (named.empty() ? "" : "; ") + language::format_labels(facts[i]->labels) + ": " +
                     reason_beside(one, *facts[i]);
        findings.push_back({"prefill_validity",
                            Certainty::kObserved,
                            name_of(one) + ": " + std::to_string(facts.size()) + " of " +
                                plural(rows, "row") + (facts.size() == 1 ? " is " : " are ") + verdict +
                                " (" + named + (facts.size() > kMostNamed ? "; ..." : "") + ").",
                            {{one.planned.key, "sm_clock, throttle_reasons, ms_total"}}});
    }
}

}  // namespace

void find_in_prefill(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const CaseFacts& one : facts.cases) {
        if (one.planned.kind != "prefill_bench") continue;
        for (const auto& [pass, total] : longest_of(one)) {
            find_time(one, *total, findings);
            find_share(one, *total, findings);
            find_full_attention(one, *total, findings);
        }
        find_validity(one, findings);
    }
}

}  // namespace nsa::reports
