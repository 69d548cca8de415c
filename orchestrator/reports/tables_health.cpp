// Tables of what a model does rather than how fast: its gates, and the memory it takes.
#include <algorithm>
#include <array>

#include "language/text.hpp"
#include "reports/cells.hpp"
#include "reports/page.hpp"

namespace nsa::reports {

namespace {

using language::Labels;

constexpr std::array kBranches{"compressed", "selected", "sliding"};

Labels with(Labels labels, const char* name, const char* value) {
    labels[name] = value;
    return labels;
}

// The largest part of any branch's gates: where one is shut or open almost always, it is seen here.
std::string worst_cell(const CaseFacts& one, const char* metric, const Labels& labels) {
    std::optional<double> worst;
    for (const char* branch : kBranches) {
        const std::optional<double> part = median_of(one, metric, with(labels, "branch", branch));
        if (part && (!worst || *part > *worst)) worst = part;
    }
    return worst ? percent(*worst) : std::string(kNoValue);
}

// Collapsed in any sample.
std::string collapsed_cell(const CaseFacts& one, const Labels& labels) {
    const Series* series = find_series(one, "gate_collapsed", labels);
    if (series == nullptr || series->samples.empty()) return std::string(kNoValue);
    const bool ever =
        std::any_of(series->samples.begin(), series->samples.end(), [](double s) { return s != 0; });
    return ever ? "**yes**" : "no";
}

void add_gate_row(const CaseFacts& one, const Series& entropy, Table& table) {
    std::vector<std::string> row{escape(name_of(one)), label_cell(entropy.labels, "layer")};
    for (const char* branch : kBranches)
        row.push_back(median_cell(one, "gate_mean", with(entropy.labels, "branch", branch)));
    row.push_back(worst_cell(one, "gate_low", entropy.labels));
    row.push_back(worst_cell(one, "gate_high", entropy.labels));
    row.push_back(number(median_of(entropy)));
    row.push_back(median_cell(one, "gate_taken_all", entropy.labels));
    row.push_back(collapsed_cell(one, entropy.labels));
    row.push_back(std::to_string(entropy.samples.size()));
    table.add(std::move(row));
}

}  // namespace

std::string gate_table(const std::vector<const CaseFacts*>& cases) {
    Table table({{"Case"},
                 {"Layer"},
                 {"Gate cmp", true},
                 {"Gate sel", true},
                 {"Gate win", true},
                 {"Shut", true},
                 {"Open", true},
                 {"Entropy", true},
                 {"Taken by one", true},
                 {"Collapsed"},
                 {"Samples", true}});
    for (const CaseFacts* one : cases) {
        for (const Series& series : one->series) {
            if (series.metric == "gate_entropy" && !series.samples.empty()) add_gate_row(*one, series, table);
        }
    }
    if (table.empty()) return {};
    return table.text() +
           "Medians over samples. Shut and Open: gates below 0.01 and above 0.99, of the branch with most of "
           "them. "
           "Entropy of the gates' shares, 1 when all three are equal. Taken by one: part of the decisions in "
           "which one "
           "branch has more than 0.9. Collapsed: entropy below 0.2, or more than half taken by one.\n\n";
}

std::string memory_table(const std::vector<const CaseFacts*>& cases) {
    Table points({{"Case"}, {"Pass"}, {"Route"}, {"S", true}, {"Peak", true}, {"Per token", true}});
    Table growth({{"Case"}, {"Pass"}, {"Route"}, {"Exponent", true}, {"Exponent of the two longest", true}});
    for (const CaseFacts* one : cases) {
        for (const Series& series : one->series) {
            if (series.samples.empty()) continue;
            std::vector<std::string> row{escape(name_of(*one)), label_cell(series.labels, "pass"),
                                         label_cell(series.labels, "route")};
            if (series.metric == "peak_bytes") {
                row.push_back(label_cell(series.labels, "S"));
                row.push_back(bytes_cell(*one, "peak_bytes", series.labels));
                row.push_back(bytes_cell(*one, "bytes_per_token", series.labels));
                points.add(std::move(row));
            } else if (series.metric == "exponent") {
                row.push_back(number(median_of(series)));
                row.push_back(median_cell(*one, "exponent_last", series.labels));
                growth.add(std::move(row));
            }
        }
    }
    if (points.empty()) return {};
    return growth.text() + points.text() +
           "Most memory held at once above the weights: input, results, cache or gradients. It grows as S to "
           "the "
           "exponent, fitted to the logarithms over all lengths.\n\n";
}

}  // namespace nsa::reports
