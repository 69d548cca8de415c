#include "nsa_core/bench/graph_rows.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include "nsa_core/bench/reads_output.hpp"
#include "nsa_core/bench/sample_output.hpp"
#include "nsa_core/tools/samples.hpp"

namespace nsa::core::bench {
namespace {

using tools::Fact;
using tools::Labels;
using tools::Metric;
using Numbers = std::map<std::string, double>;

constexpr std::array kPeers{"cudnn", "fa2", "eager"};
constexpr std::array kParts{"ms_cmp", "ms_sel", "ms_win"};

constexpr std::array kColumns{
    "S", "batch",
    // one replay, and many in a row
    "ms_total", "ms_total_low", "ms_total_high", "ms_step", "ms_step_low", "ms_step_high",
    // launched alone, less the start of an empty graph; the start of the whole; what is left
    "ms_cmp", "ms_cmp_low", "ms_cmp_high", "ms_sel", "ms_sel_low", "ms_sel_high", "ms_win", "ms_win_low",
    "ms_win_high", "ms_rest", "ms_rest_low", "ms_rest_high", "ms_residual",
    // the least it can cost
    "bytes", "flops", "ms_floor", "percent_of_floor", "percent_of_floor_step",
    // beside it
    "ms_cudnn", "ms_cudnn_low", "ms_cudnn_high", "ms_step_cudnn", "ms_fa2", "ms_fa2_low", "ms_fa2_high",
    "ms_step_fa2", "ms_eager", "ms_eager_low", "ms_eager_high", "speedup_vs_cudnn", "speedup_step_vs_cudnn",
    "speedup_vs_fa2", "speedup_step_vs_fa2", "speedup_vs_eager", "reads_actual", "reads_expected", "samples",
    "throttled_samples", "sm_clock_mhz_min", "throttled_samples_step", "sm_clock_mhz_min_step"};

// Of a row, what a check may judge: single values, beside the raw samples.
constexpr std::array kDerived{"ms_residual",
                              "ms_floor",
                              "percent_of_floor",
                              "percent_of_floor_step",
                              "speedup_vs_cudnn",
                              "speedup_vs_fa2",
                              "speedup_step_vs_cudnn",
                              "speedup_step_vs_fa2",
                              "speedup_vs_eager",
                              "bytes",
                              "flops",
                              "throttled_samples",
                              "throttled_samples_step"};

const char* unit_of(std::string_view name) {
    if (name.starts_with("ms_")) return "ms";
    if (name.starts_with("percent_")) return "%";
    return name == "bytes" ? "B" : "1";
}

void add_peers(Numbers& row) {
    for (const std::string peer : kPeers) {
        if (row.contains("ms_" + peer)) row["speedup_vs_" + peer] = row["ms_" + peer] / row["ms_total"];
        if (row.contains("ms_step_" + peer)) {
            row["speedup_step_vs_" + peer] = row["ms_step_" + peer] / row["ms_step"];
        }
    }
}

// How many samples were slowed down, and the lowest clock that was seen.
void add_states(Numbers& row, const std::string& suffix, const std::vector<tools::GpuState>& states) {
    if (states.empty()) return;
    const auto throttled = std::ranges::count_if(
        states, [](const tools::GpuState& state) { return tools::is_throttled(state.throttle_reasons); });
    row["throttled_samples" + suffix] = static_cast<double>(throttled);
    row["sm_clock_mhz_min" + suffix] =
        std::ranges::min(states, {}, &tools::GpuState::sm_clock_mhz).sm_clock_mhz;
}

std::string cell(const Numbers& row, const std::string& column) {
    const auto value = row.find(column);
    if (value == row.end()) return {};
    // Counts are whole; nine digits would cut the bytes of a large step.
    const bool count = column == "bytes" || column == "flops";
    return count ? tools::json_number(value->second) : tools::csv_number(value->second);
}

void print_row(const GraphRow& whole, const std::string& plan) {
    const Numbers& row = whole.numbers;
    const auto part = [&](const char* before, const std::string& column, const char* after = "") {
        if (row.contains(column)) std::cout << before << cell(row, column) << after;
    };
    part("S=", "S");
    part(" batch=", "batch");
    part(": once ", "ms_total", " ms");
    part(" [", "ms_total_low");
    part(", ", "ms_total_high", "]");
    part(", in a row ", "ms_step");
    part("; cmp ", "ms_cmp");
    part(", sel ", "ms_sel");
    part(", win ", "ms_win");
    part(", launch ", "ms_rest");
    part(", residual ", "ms_residual");
    part("; floor ", "ms_floor");
    part(" (", "percent_of_floor", " %");
    part(", in a row ", "percent_of_floor_step", " %");
    std::cout << ")";
    for (const std::string peer : kPeers) {
        part(("; " + peer + " ").c_str(), "ms_" + peer);
        part(" / ", "ms_step_" + peer);
    }
    part("; keys ", "reads_actual");
    part(" of ", "reads_expected");
    part("; throttled ", "throttled_samples");
    part(" of ", "samples");
    std::cout << "; " << plan << "; " << name(whole.validity.validity);
    if (!whole.validity.reasons.empty()) std::cout << " (" << whole.validity.reason() << ")";
    std::cout << std::endl;
}

RowValidity judge(const GraphResult& result) {
    const auto judged = [&](const std::vector<tools::GpuState>& states, const char* samples) {
        return judge_row({.gpu = true,
                          .why_no_monitor = result.why_no_monitor,
                          .max_sm_clock_mhz = result.max_sm_clock_mhz,
                          .states = states,
                          .samples_ms = result.series.at(samples)});
    };
    RowValidity single = judged(result.states, "ms_total");
    if (!result.series.contains("ms_step")) return single;
    RowValidity row = judged(result.step_states.empty() ? result.states : result.step_states, "ms_step");
    for (std::string& reason : row.reasons)
        reason = "in a row: " + reason;
    if (row.validity < single.validity) return single;
    if (row.validity == single.validity)
        row.reasons.insert(row.reasons.begin(), single.reasons.begin(), single.reasons.end());
    return row;
}

}  // namespace

GraphRow summarise(const GraphResult& result, const Ceilings& ceilings) {
    Numbers row{{"S", static_cast<double>(result.seq)}, {"batch", static_cast<double>(result.batch)}};
    for (const auto& [name, samples] : result.series) {
        const tools::MedianInterval median = tools::median_interval(samples);
        row[name] = median.median;
        row[name + "_low"] = median.low;
        row[name + "_high"] = median.high;
    }
    if (std::ranges::all_of(kParts, [&](const char* part) { return row.contains(part); })) {
        row["ms_residual"] = row["ms_total"] - row["ms_rest"];
        for (const char* part : kParts)
            row["ms_residual"] -= row[part];
    }
    const Floor floor = floor_of(result.work, ceilings);
    row["bytes"] = result.work.bytes;
    row["flops"] = result.work.flops;
    row["ms_floor"] = floor.ms();
    row["percent_of_floor"] = floor.percent(row["ms_total"]);
    if (row.contains("ms_step")) row["percent_of_floor_step"] = floor.percent(row["ms_step"]);
    add_peers(row);
    add_states(row, "", result.states);
    add_states(row, "_step", result.step_states);
    row["reads_actual"] = static_cast<double>(result.actual.total());
    row["reads_expected"] = static_cast<double>(result.expected.total());
    row["samples"] = static_cast<double>(result.series.at("ms_total").size());
    return {.numbers = std::move(row), .validity = judge(result)};
}

GraphReport::GraphReport(tools::Output& output)
    : output_{output}, csv_{output.artifacts / "decode.csv", [] {
                                std::vector<std::string> header{kColumns.begin(), kColumns.end()};
                                header.insert(header.end(), {"validity", "validity_reason"});
                                return header;
                            }()} {}

void GraphReport::add(const GraphResult& result, const GraphRow& row) {
    const Labels labels{{"S", std::to_string(result.seq)}};
    write_samples(output_, labels, result.series, result.states);
    for (const char* derived : kDerived) {
        const auto value = row.numbers.find(derived);
        if (value == row.numbers.end()) continue;
        output_.results.write(
            Metric{.name = derived, .value = value->second, .unit = unit_of(derived), .labels = labels});
    }
    write_validity(output_, labels, row.validity);
    write_reads(output_, labels, "reads_actual", result.actual);
    write_reads(output_, labels, "reads_expected", result.expected);
    output_.results.write(Fact{.name = "plan", .value = result.plan, .labels = labels});
    for (const auto& [peer, why] : result.not_there)
        output_.results.write(Fact{.name = "no_" + peer, .value = why, .labels = labels});

    std::vector<std::string> cells;
    for (const char* column : kColumns)
        cells.push_back(cell(row.numbers, column));
    cells.insert(cells.end(), {std::string{name(row.validity.validity)}, row.validity.reason()});
    csv_.row(cells);
    print_row(row, result.plan);
    rows_.push_back(row);
}

void GraphReport::finish() const {
    const std::filesystem::path path = output_.artifacts / "decode.json";
    std::string text;
    for (const GraphRow& row : rows_) {
        std::string fields;
        for (const auto& [column, value] : row.numbers) {
            fields += fields.empty() ? "{" : ", ";
            fields += tools::json_text(column) + ": " + tools::json_number(value);
        }
        fields += ", \"validity\": " + tools::json_text(name(row.validity.validity));
        fields += ", \"validity_reason\": " + tools::json_text(row.validity.reason());
        text += (text.empty() ? "[" : ",\n ") + fields + "}";
    }
    std::ofstream file{path};
    file << (text.empty() ? "[" : text) << "]\n";
    if (!file.flush()) throw std::runtime_error{"cannot write " + path.string()};
}

}  // namespace nsa::core::bench
