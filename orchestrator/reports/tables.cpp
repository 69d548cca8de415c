// Tables of measurements, by kind of step. Every cell is computed from raw samples.
#include <algorithm>
#include <array>
#include <cmath>

#include "language/text.hpp"
#include "reports/cells.hpp"
#include "reports/page.hpp"

namespace nsa::reports {

namespace {

// The bound on `mae` in words, with its level where it is no gate: "<= 0.0002", "<= 0.0002 (info)".
std::string mae_bound(const CaseFacts& one) {
    for (const language::Check& check : one.planned.checks) {
        const auto* rule = std::get_if<language::ThresholdCheck>(&check.rule);
        if (rule != nullptr && rule->metric == "mae")
            return escape(std::string(to_string(rule->op)) + " " + language::format_number(rule->value) +
                          (check.level == language::Level::kGate
                               ? std::string()
                               : " (" + std::string(to_string(check.level)) + ")"));
    }
    return std::string(kNoValue);
}

void add_decode_rows(const CaseFacts& one, bool name_cases, Table& table) {
    constexpr std::array kParts{"ms_cmp", "ms_sel", "ms_win", "ms_rest"};
    for (const Series& total : one.series) {
        if (total.metric != "ms_total" || total.samples.empty()) continue;
        std::vector<std::string> row;
        if (name_cases) row.push_back(escape(name_of(one)));
        const auto seq = total.labels.find("S");
        row.push_back(seq == total.labels.end() ? std::string(kNoValue) : escape(seq->second));
        row.push_back(spread_cell(one, "ms_total", total.labels));
        double sum = 0;
        for (const char* part : kParts) {
            row.push_back(spread_cell(one, part, total.labels));
            sum += median_of(one, part, total.labels).value_or(std::nan(""));
        }
        row.push_back(std::isnan(sum) ? std::string(kNoValue) : percent(sum / median_of(total)));
        row.push_back(median_cell(one, "reads_actual_total", total.labels) + " / " +
                      median_cell(one, "reads_expected_total", total.labels));
        row.push_back(samples_cell(one, "ms_total", total.labels));
        table.add(std::move(row));
    }
}

}  // namespace

namespace {

std::string golden_note(const std::vector<const CaseFacts*>& cases) {
    std::string names;
    for (const CaseFacts* one : cases) {
        if (by_golden_file(*one))
            names += (names.empty() ? "" : ", ") + name_of(*one) + " (" + param_of(*one, "golden") + ")";
    }
    return names.empty() ? std::string{}
                         : "Distances to the outputs of a golden file: " + escape(names) + ".\n\n";
}

}  // namespace

std::string parity_table(const std::vector<const CaseFacts*>& cases) {
    Table table({{"Case"},
                 {"Verdict"},
                 {"Asked"},
                 {"Taken"},
                 {"MAE", true},
                 {"Bound", true},
                 {"Max", true},
                 {"Relative L2", true},
                 {"Plain MAE", true},
                 {"Samples", true}});
    for (const CaseFacts* one : cases) {
        table.add({escape(name_of(*one)), verdict_word(one->judgement.verdict),
                   text_cell(param_of(*one, "route")), text_cell(fact_of(*one, "route_taken")),
                   spread_cell(*one, "mae"), mae_bound(*one), median_cell(*one, "max_abs"),
                   median_cell(*one, "rel_l2"), median_cell(*one, "baseline_mae"),
                   samples_cell(*one, "mae")});
    }
    return table.text() +
           "MAE, Max and Relative L2 are distances to the fp64 oracle; Plain MAE is that of a plain "
           "implementation "
           "in the same type. Medians over trials, range in brackets.\n\n" +
           golden_note(cases);
}

std::string decode_table(const std::vector<const CaseFacts*>& cases) {
    std::vector<Table::Column> columns;
    const bool name_cases = cases.size() > 1;
    if (name_cases) columns.push_back({"Case"});
    for (const char* title :
         {"S", "Total ms", "cmp", "sel", "win", "rest", "Sum / total", "Reads actual / expected", "Samples"})
        columns.push_back({title, true});
    Table table(std::move(columns));
    for (const CaseFacts* one : cases)
        add_decode_rows(*one, name_cases, table);
    if (table.empty()) return {};
    return table.text() +
           "Milliseconds per decode step: median, range in brackets. Branches are launches of their own; "
           "rest is "
           "projections, gate and output. Reads are keys per sequence and group.\n\n";
}

std::string training_table(const std::vector<const CaseFacts*>& cases) {
    Table table({{"Case"},
                 {"Verdict"},
                 {"tok/s", true},
                 {"Loss start", true},
                 {"Loss end", true},
                 {"Gradient norm", true},
                 {"Steps done / asked", true}});
    bool measured = false;
    for (const CaseFacts* one : cases) {
        const Series* loss = find_series(*one, "loss");
        if (loss == nullptr || loss->samples.empty()) continue;
        measured = true;
        table.add({escape(name_of(*one)), verdict_word(one->judgement.verdict),
                   spread_cell(*one, "tokens_per_s"), number(loss->samples.front()),
                   number(loss->samples.back()), spread_cell(*one, "grad_norm"),
                   median_cell(*one, "steps_done") + " / " + median_cell(*one, "steps_asked")});
    }
    return measured ? table.text() + gate_table(cases) : std::string{};
}

std::string measurement_table(const CaseFacts& one) {
    constexpr std::size_t kMostRows = 100;
    Table table({{"Metric"}, {"Row"}, {"Median (range)", true}, {"Unit"}, {"Samples", true}});
    for (std::size_t i = 0; i < one.series.size() && i < kMostRows; ++i) {
        const Series& series = one.series[i];
        table.add({escape(series.metric), text_cell(language::format_labels(series.labels)),
                   spread_cell(one, series.metric, series.labels), text_cell(series.unit),
                   samples_cell(one, series.metric, series.labels)});
    }
    if (table.empty()) return {};
    const std::size_t left = one.series.size() - std::min(one.series.size(), kMostRows);
    return table.text() + (left == 0 ? "" : plural(left, "row") + " more in the JSON report.\n\n");
}

}  // namespace nsa::reports
