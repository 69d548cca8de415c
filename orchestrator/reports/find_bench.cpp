#include <algorithm>
#include <array>
#include <cmath>

#include "language/text.hpp"
#include "reports/rules.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

// A step whose time grows by less than this while the sequence doubles or more does not wait for memory.
constexpr double kFlatGrowth = 1.10;
constexpr double kNoisySpread = 0.20;  // interquartile range over median

struct Length {
    double seq = 0;
    const Series* total = nullptr;
};

std::vector<Length> lengths_of(const CaseFacts& facts) {
    std::vector<Length> lengths;
    for (const Series& series : facts.series) {
        const auto seq = series.labels.find("S");
        if (series.metric != "ms_total" || seq == series.labels.end() || series.samples.empty()) continue;
        const double length = std::strtod(seq->second.c_str(), nullptr);
        if (std::isfinite(length)) lengths.push_back({length, &series});
    }
    std::sort(lengths.begin(), lengths.end(), [](const Length& a, const Length& b) { return a.seq < b.seq; });
    return lengths;
}

// NaN when a sample is.
double relative_spread(const Series& series) {
    return (language::quantile(series.samples, 0.75) - language::quantile(series.samples, 0.25)) /
           median_of(series);
}

bool is_noisy(const Series& series) {
    return relative_spread(series) > kNoisySpread;
}

// Medians of other samples are not compared with one another.
bool is_steady(const Series& series) {
    return relative_spread(series) <= kNoisySpread;
}

void find_scaling(const CaseFacts& one, const std::vector<Length>& lengths, std::vector<Finding>& findings) {
    const Length &shortest = lengths.front(), &longest = lengths.back();
    const double fast = median_of(*shortest.total), slow = median_of(*longest.total);
    std::string text =
        name_of(one) + ": one decode step takes " + number(fast) + " ms at S=" + number(shortest.seq);
    if (lengths.size() > 1) text += " and " + number(slow) + " ms at S=" + number(longest.seq);
    findings.push_back({"decode_time", Certainty::kObserved, text + ".", {{one.planned.key, "ms_total"}}});
    const bool comparable = ran_on_gpu(one) && is_steady(*shortest.total) && is_steady(*longest.total);
    if (comparable && longest.seq >= 2 * shortest.seq && slow < kFlatGrowth * fast) {
        findings.push_back(
            {"decode_flat",
             Certainty::kHypothesis,
             name_of(one) + ": the time grows by " + percent(slow / fast - 1) + " while S grows " +
                 number(longest.seq / shortest.seq) +
                 "-fold; a step that is bound by launches or host work, not by memory traffic, "
                 "would look like this.",
             {{one.planned.key, "ms_total"}}});
    }
}

// The slowest branch at the longest sequence, as a share of the parts' sum.
void find_share(const CaseFacts& one, const Length& longest, std::vector<Finding>& findings) {
    constexpr std::array kParts{"ms_cmp", "ms_sel", "ms_win", "ms_rest"};
    double sum = 0, most = 0;
    std::string slowest;
    for (const char* part : kParts) {
        const std::optional<double> ms = median_of(one, part, longest.total->labels);
        if (!ms) return;
        sum += *ms;
        if (*ms > most) {
            most = *ms;
            slowest = part;
        }
    }
    if (slowest.empty()) return;  // no part has a number above 0
    const double total = median_of(*longest.total);
    findings.push_back({"decode_share",
                        Certainty::kObserved,
                        name_of(one) + ": at S=" + number(longest.seq) + " the largest part is " + slowest +
                            " with " + percent(most / sum) + " of the sum of parts; the parts sum to " +
                            percent(sum / total) + " of the measured total.",
                        {{one.planned.key, "ms_total, ms_cmp, ms_sel, ms_win, ms_rest"}}});
}

void find_reads(const CaseFacts& one, std::vector<Finding>& findings) {
    std::size_t rows = 0, equal = 0;
    for (const Series& series : one.series) {
        if (series.metric != "reads_actual_total") continue;
        const std::optional<double> expected = median_of(one, "reads_expected_total", series.labels);
        if (!expected) continue;
        ++rows;
        if (median_of(series) == *expected) ++equal;
    }
    if (rows == 0) return;
    findings.push_back({"decode_reads",
                        Certainty::kObserved,
                        name_of(one) + ": keys read equal the formula in " + std::to_string(equal) + " of " +
                            plural(rows, "row") + ".",
                        {{one.planned.key, "reads_actual_total, reads_expected_total"}}});
}

void find_noise(const CaseFacts& one, const std::vector<Length>& lengths, std::vector<Finding>& findings) {
    std::string where;
    for (const Length& length : lengths) {
        if (!is_noisy(*length.total)) continue;
        const double spread = relative_spread(*length.total);
        where += (where.empty() ? "" : ", ") +
                 (spread < 1 ? percent(spread) + " of" : number(spread) + " times") +
                 " the median at S=" + number(length.seq);
    }
    if (where.empty()) return;
    findings.push_back({"decode_noise",
                        Certainty::kObserved,
                        name_of(one) + ": the middle half of the samples spans " + where +
                            "; differences below that mean nothing here.",
                        {{one.planned.key, "ms_total"}}});
}

}  // namespace

void find_in_decode(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const CaseFacts& one : facts.cases) {
        if (one.planned.kind != "decode_bench") continue;
        const std::vector<Length> lengths = lengths_of(one);
        if (lengths.empty()) continue;
        find_scaling(one, lengths, findings);
        find_share(one, lengths.back(), findings);
        find_reads(one, findings);
        find_noise(one, lengths, findings);
    }
}

void find_in_training(const RunFacts& facts, std::vector<Finding>& findings) {
    for (const CaseFacts& one : facts.cases) {
        const Series* loss = find_series(one, "loss");
        if (one.planned.kind != "train_smoke" || loss == nullptr || loss->samples.empty()) continue;
        const double start = loss->samples.front(), end = loss->samples.back();
        const std::string steps = plural(loss->samples.size(), "step");
        std::string text =
            name_of(one) + ": the loss goes from " + number(start) + " to " + number(end) + " in " + steps;
        if (const std::optional<double> speed = median_of(one, "tokens_per_s"))
            text += " at a median of " + number(*speed) + " tok/s";
        findings.push_back(
            {"training", Certainty::kObserved, text + ".", {{one.planned.key, "loss, tokens_per_s"}}});
        if (loss->samples.size() > 1 && !(end < start)) {
            findings.push_back(
                {"training_no_progress",
                 Certainty::kObserved,
                 name_of(one) + ": the loss does not fall within the " + steps + " that were run.",
                 {{one.planned.key, "loss"}}});
        }
        const Series* gradient = find_series(one, "grad_norm");
        const bool dead = gradient != nullptr && !gradient->samples.empty() &&
                          std::all_of(gradient->samples.begin(), gradient->samples.end(),
                                      [](double norm) { return norm == 0; });
        if (dead) {
            findings.push_back({"training_zero_gradient",
                                Certainty::kObserved,
                                name_of(one) + ": the gradient norm is 0 in every step: nothing is trained.",
                                {{one.planned.key, "grad_norm"}}});
        }
    }
}

}  // namespace nsa::reports
