#include "nsa_core/bench/prefill_rows.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include "nsa_core/tools/samples.hpp"

namespace nsa::core::bench {
namespace {

using tools::Labels;
using tools::Metric;
using Numbers = std::map<std::string, double>;

std::string suffix_of(PrefillPart part) {
    return std::string{metric_of(part).substr(std::string_view{"ms"}.size())};
}

std::vector<std::string> columns() {
    std::vector<std::string> names{"S", "batch"};
    const auto timed = [&](const std::string& name) {
        names.insert(names.end(), {name, name + "_low", name + "_high"});
    };
    timed("ms_total");
    for (const PrefillPart part : kPrefillParts)
        timed(std::string{metric_of(part)});
    timed("ms_parts");
    names.insert(names.end(),
                 {"ms_residual", "parts_gap_percent", "bytes", "flops", "ms_floor", "percent_of_floor"});
    for (const PrefillPart part : kPrefillParts)
        names.insert(names.end(), {"ms_floor" + suffix_of(part), "percent_of_floor" + suffix_of(part)});
    for (const std::string peer : kPrefillPeers) {
        timed("ms_" + peer);
        names.push_back("speedup_vs_" + peer);
    }
    for (const int tokens : kTokensSharing)
        names.push_back("unique_blocks_" + std::to_string(tokens));
    names.insert(names.end(), {"peak_memory_bytes", "samples", "throttled_samples", "sm_clock_mhz_min"});
    return names;
}

// What a check may judge: single values, beside the raw samples.
bool is_derived(const std::string& name) {
    return name.starts_with("ms_floor") || name.starts_with("percent_of_floor") ||
           name.starts_with("speedup_vs_") || name.starts_with("unique_blocks_") || name == "ms_parts" ||
           name == "ms_residual" || name == "parts_gap_percent" || name == "bytes" || name == "flops" ||
           name == "peak_memory_bytes" || name == "throttled_samples";
}

const char* unit_of(std::string_view name) {
    if (name.starts_with("ms_")) return "ms";
    if (name.starts_with("percent_") || name.ends_with("_percent")) return "%";
    return name.ends_with("bytes") ? "B" : "1";
}

void add_medians(const TimeSeries& series, Numbers& row) {
    for (const auto& [name, samples] : series) {
        const tools::MedianInterval median = tools::median_interval(samples);
        row[name] = median.median;
        row[name + "_low"] = median.low;
        row[name + "_high"] = median.high;
    }
}

// Sum of the parts of each sample; empty when a part lacks samples.
std::vector<double> sums_of_parts(const TimeSeries& series) {
    std::vector<double> sums(series.at("ms_total").size());
    bool any = false;
    for (const PrefillPart part : kPrefillParts) {
        const auto found = series.find(std::string{metric_of(part)});
        if (found == series.end()) continue;
        if (found->second.size() != sums.size()) return {};
        any = true;
        for (std::size_t i = 0; i < sums.size(); ++i)
            sums[i] += found->second[i];
    }
    return any ? sums : std::vector<double>{};
}

void add_identity(const TimeSeries& series, Numbers& row) {
    const std::vector<double> sums = sums_of_parts(series);
    if (sums.empty()) return;
    add_medians({{"ms_parts", sums}}, row);
    const double apart = std::max(
        {row["ms_parts_low"] - row["ms_total_high"], row["ms_total_low"] - row["ms_parts_high"], 0.0});
    row["ms_residual"] = row["ms_total"] - row["ms_parts"];
    row["parts_gap_percent"] = 100 * apart / row["ms_total"];
}

void add_floor(const std::string& suffix, const Work& work, const Ceilings& ceilings, Numbers& row,
               const std::string& time) {
    if (!row.contains(time) || (work.bytes == 0 && work.flops == 0)) return;
    const Floor floor = floor_of(work, ceilings);
    row["ms_floor" + suffix] = floor.ms();
    row["percent_of_floor" + suffix] = floor.percent(row[time]);
}

void add_floors(const PrefillTimes& times, const Ceilings& ceilings, Numbers& row) {
    const Work whole = prefill_work(times.pass, times.shape);
    row["bytes"] = whole.bytes;
    row["flops"] = whole.flops;
    add_floor("", whole, ceilings, row, "ms_total");
    for (const PrefillPart part : kPrefillParts)
        add_floor(suffix_of(part), part_work(part, times.pass, times.shape), ceilings, row,
                  std::string{metric_of(part)});
}

void add_states(const std::vector<tools::GpuState>& states, Numbers& row) {
    if (states.empty()) return;
    row["throttled_samples"] = static_cast<double>(std::ranges::count_if(
        states, [](const tools::GpuState& state) { return tools::is_throttled(state.throttle_reasons); }));
    row["sm_clock_mhz_min"] = std::ranges::min(states, {}, &tools::GpuState::sm_clock_mhz).sm_clock_mhz;
}

std::string cell(const Numbers& row, const std::string& column) {
    const auto value = row.find(column);
    if (value == row.end()) return {};
    // Counts are whole; nine digits would cut the bytes of a large pass.
    const bool count = column.ends_with("bytes") || column == "flops";
    return count ? tools::json_number(value->second) : tools::csv_number(value->second);
}

std::string json_row(const PrefillTimes& times, const PrefillRow& row) {
    std::string text = "{\"pass\": " + tools::json_text(name(times.pass)) +
                       ", \"validity\": " + tools::json_text(name(row.validity.validity)) +
                       ", \"validity_reason\": " + tools::json_text(row.validity.reason());
    for (const auto& [name, value] : row.numbers)
        text += ", " + tools::json_text(name) + ": " + tools::json_number(value);
    return text + "}";
}

void print_row(const PrefillTimes& times, const PrefillRow& row) {
    const auto part = [&](const std::string& before, const std::string& column, const char* after = "") {
        if (row.numbers.contains(column)) std::cout << before << cell(row.numbers, column) << after;
    };
    part("S=", "S");
    std::cout << " " << name(times.pass);
    part(": ", "ms_total", " ms");
    part(" [", "ms_total_low");
    part(", ", "ms_total_high", "]");
    for (const PrefillPart one : kPrefillParts)
        part("; " + suffix_of(one).substr(1) + " ", std::string{metric_of(one)});
    part("; parts ", "ms_parts");
    part(" (", "parts_gap_percent", " % apart)");
    part("; floor ", "ms_floor");
    part(" (", "percent_of_floor", " %)");
    for (const std::string peer : kPrefillPeers)
        part("; full attention by " + peer + " ", "ms_" + peer);
    part("; unique blocks of 8 tokens ", "unique_blocks_8");
    std::cout << "; " << name(row.validity.validity);
    if (!row.validity.reasons.empty()) std::cout << " (" << row.validity.reason() << ")";
    std::cout << std::endl;
}

}  // namespace

PrefillRow summarise(const PrefillTimes& times, const Ceilings& ceilings) {
    PrefillRow row;
    Numbers& numbers = row.numbers;
    const std::vector<double>& total = times.series.at("ms_total");
    numbers["S"] = static_cast<double>(times.shape.seq);
    numbers["batch"] = static_cast<double>(times.shape.batch);
    add_medians(times.series, numbers);
    add_identity(times.series, numbers);
    add_floors(times, ceilings, numbers);
    for (const std::string peer : kPrefillPeers) {
        if (numbers.contains("ms_" + peer))
            numbers["speedup_vs_" + peer] = numbers["ms_" + peer] / numbers["ms_total"];
    }
    for (const auto& [tokens, share] : times.unique_blocks)
        numbers["unique_blocks_" + std::to_string(tokens)] = share;
    numbers["peak_memory_bytes"] = times.peak_memory_bytes;
    numbers["samples"] = static_cast<double>(total.size());
    add_states(times.states, numbers);
    row.validity = judge_row({.gpu = times.gpu,
                              .why_no_monitor = times.why_no_monitor,
                              .max_sm_clock_mhz = times.max_sm_clock_mhz,
                              .states = times.states,
                              .samples_ms = total});
    return row;
}

PrefillReport::PrefillReport(tools::Output& output)
    : output_{output},
      columns_{columns()},
      csv_{output.artifacts / "prefill.csv", [this] {
               std::vector<std::string> header{"pass", "validity", "validity_reason"};
               header.insert(header.end(), columns_.begin(), columns_.end());
               return header;
           }()} {}

void PrefillReport::add(const PrefillTimes& times, const PrefillRow& row) {
    const Labels labels{{"S", std::to_string(times.shape.seq)}, {"pass", std::string{name(times.pass)}}};
    const auto metric = [&](const std::string& metric_name, double value) {
        output_.results.write(
            Metric{.name = metric_name, .value = value, .unit = unit_of(metric_name), .labels = labels});
    };
    write_samples(output_, labels, times.series, times.states);
    for (const auto& [metric_name, value] : row.numbers) {
        if (is_derived(metric_name)) metric(metric_name, value);
    }
    write_validity(output_, labels, row.validity);
    for (const auto& [peer, why] : times.not_there) {
        output_.results.write(
            tools::Fact{.name = "no_" + peer, .value = "unavailable: " + why, .labels = labels});
    }

    std::vector<std::string> cells{std::string{name(times.pass)}, std::string{name(row.validity.validity)},
                                   row.validity.reason()};
    for (const std::string& column : columns_)
        cells.push_back(cell(row.numbers, column));
    csv_.row(cells);
    json_rows_.push_back(json_row(times, row));
    print_row(times, row);
}

void PrefillReport::finish() const {
    const std::filesystem::path path = output_.artifacts / "prefill.json";
    std::ofstream file{path};
    file << "[";
    for (const std::string& row : json_rows_)
        file << (&row == &json_rows_.front() ? "" : ",\n ") << row;
    file << "]\n";
    if (!file.flush()) throw std::runtime_error{"cannot write " + path.string()};
}

}  // namespace nsa::core::bench
