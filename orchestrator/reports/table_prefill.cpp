// Prefill times: where they go, then what they stand against.
#include <algorithm>
#include <array>
#include <cmath>

#include "reports/cells.hpp"
#include "reports/page.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using language::Labels;

struct Part {
    std::string_view suffix, title;
};
constexpr std::array kParts{Part{"_project", "project"}, Part{"_compress", "compress"}, Part{"_cmp", "cmp"},
                            Part{"_select", "select"},   Part{"_sel", "sel"},           Part{"_win", "win"},
                            Part{"_combine", "combine"}};
constexpr std::array<std::string_view, 3> kPeers{"cudnn", "fa2", "sdpa"};

// A case's rows are those of its total.
std::vector<const Series*> rows_of(const CaseFacts& one) {
    std::vector<const Series*> rows;
    for (const Series& series : one.series) {
        if (series.metric == "ms_total" && !series.samples.empty()) rows.push_back(&series);
    }
    return rows;
}

std::vector<std::string> row_head(const CaseFacts& one, bool name_cases, const Labels& labels) {
    std::vector<std::string> cells;
    if (name_cases) cells.push_back(escape(name_of(one)));
    cells.push_back(label_cell(labels, "S"));
    cells.push_back(label_cell(labels, "pass"));
    return cells;
}

std::string metric_name(std::string_view prefix, std::string_view suffix) {
    return std::string(prefix) + std::string(suffix);
}

// "2.1 (31%)": median, and what share of it the floor is.
std::string part_cell(const CaseFacts& one, std::string_view suffix, const Labels& labels) {
    const std::optional<double> share = median_of(one, metric_name("percent_of_floor", suffix), labels);
    return median_cell(one, metric_name("ms", suffix), labels) +
           (share ? " (" + percent(*share / 100) + ")" : "");
}

std::string sum_cell(const CaseFacts& one, const Series& total) {
    const std::optional<double> sum = median_of(one, "ms_parts", total.labels);
    return sum ? percent(*sum / median_of(total)) : std::string(kNoValue);
}

// "fa2 3.29, sdpa 4.1"
std::string full_attention_cell(const CaseFacts& one, const Labels& labels) {
    std::string text;
    for (const std::string_view peer : kPeers) {
        const std::optional<double> ms = median_of(one, metric_name("ms_", peer), labels);
        if (ms) text += (text.empty() ? "" : ", ") + std::string(peer) + " " + number(*ms);
    }
    return text_cell(text);
}

// Against the fastest of them.
std::string speedup_cell(const CaseFacts& one, const Labels& labels) {
    std::optional<double> least;
    for (const std::string_view peer : kPeers) {
        const std::optional<double> speedup = median_of(one, metric_name("speedup_vs_", peer), labels);
        if (speedup && (!least || *speedup < *least)) least = speedup;
    }
    return least ? number(*least) : std::string(kNoValue);
}

std::string validity_cell(const CaseFacts& one, const Labels& labels) {
    for (const language::Fact& fact : one.facts) {
        if (fact.name == "validity" && fact.labels == labels) return escape(fact.value);
    }
    return std::string(kNoValue);
}

std::vector<Table::Column> columns(bool name_cases) {
    std::vector<Table::Column> columns;
    if (name_cases) columns.push_back({"Case"});
    columns.push_back({"S", true});
    columns.push_back({"Pass"});
    return columns;
}

bool any_has(const std::vector<const CaseFacts*>& cases, std::string_view metric) {
    return std::any_of(cases.begin(), cases.end(), [&](const CaseFacts* one) {
        return std::any_of(one->series.begin(), one->series.end(),
                           [&](const Series& series) { return series.metric == metric; });
    });
}

std::string parts_table(const std::vector<const CaseFacts*>& cases) {
    const bool name_cases = cases.size() > 1;
    std::vector<Part> parts;
    for (const Part& part : kParts) {
        if (any_has(cases, metric_name("ms", part.suffix))) parts.push_back(part);
    }
    std::vector<Table::Column> titles = columns(name_cases);
    titles.push_back({"Total ms", true});
    for (const Part& part : parts)
        titles.push_back({std::string(part.title), true});
    titles.push_back({"Sum / total", true});
    titles.push_back({"Samples", true});
    Table table(std::move(titles));
    for (const CaseFacts* one : cases) {
        for (const Series* total : rows_of(*one)) {
            std::vector<std::string> row = row_head(*one, name_cases, total->labels);
            row.push_back(spread_cell(*one, "ms_total", total->labels));
            for (const Part& part : parts)
                row.push_back(part_cell(*one, part.suffix, total->labels));
            row.push_back(sum_cell(*one, *total));
            row.push_back(samples_cell(*one, "ms_total", total->labels));
            table.add(std::move(row));
        }
    }
    return table.empty() ? std::string{} : table.text();
}

std::string comparison_table(const std::vector<const CaseFacts*>& cases) {
    const bool name_cases = cases.size() > 1;
    std::vector<Table::Column> titles = columns(name_cases);
    for (const char* title : {"Total ms", "Floor ms", "Of floor"})
        titles.push_back({title, true});
    titles.push_back({"Full attention ms"});
    for (const char* title : {"Speedup", "Unique blocks", "Peak memory"})
        titles.push_back({title, true});
    titles.push_back({"Row"});
    Table table(std::move(titles));
    for (const CaseFacts* one : cases) {
        for (const Series* total : rows_of(*one)) {
            const Labels& labels = total->labels;
            std::vector<std::string> row = row_head(*one, name_cases, labels);
            const std::optional<double> share = median_of(*one, "percent_of_floor", labels);
            row.insert(
                row.end(),
                {number(median_of(*total)), median_cell(*one, "ms_floor", labels),
                 share ? percent(*share / 100) : std::string(kNoValue), full_attention_cell(*one, labels),
                 speedup_cell(*one, labels), median_cell(*one, "unique_blocks_8", labels),
                 bytes_cell(*one, "peak_memory_bytes", labels), validity_cell(*one, labels)});
            table.add(std::move(row));
        }
    }
    return table.text();
}

}  // namespace

std::string prefill_table(const std::vector<const CaseFacts*>& cases) {
    const std::string parts = parts_table(cases);
    if (parts.empty()) return {};
    return parts +
           "Milliseconds: median of the total with its range in brackets; of each part the median, in "
           "brackets the "
           "share of it that its floor is. Parts are launches of their own; select is importance and "
           "top-n.\n\n" +
           comparison_table(cases) +
           "The floor is bytes and FLOPs at the rates of the device; 100% of floor is the floor itself. "
           "Speedup is "
           "against the fastest full attention. Unique blocks: different blocks among those that 8 adjacent "
           "tokens "
           "select, per selected block. Row: whether clocks and spread allow to believe it.\n\n";
}

}  // namespace nsa::reports
