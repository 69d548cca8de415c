#include "nsa_core/train/step_log.hpp"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <stdexcept>

namespace nsa::core::train {
namespace {

using tools::Metric;

struct Column {
    const char* name;
    std::function<double(const LoggedStep&)> value;
};

// Of the CSV file and of the JSON file.
const std::vector<Column>& columns() {
    static const std::vector<Column> all{
        {"loss", [](const LoggedStep& s) { return s.loss; }},
        {"grad_norm", [](const LoggedStep& s) { return s.grad_norm; }},
        {"tokens_per_s", [](const LoggedStep& s) { return s.tokens_per_s; }},
        {"step_ms", [](const LoggedStep& s) { return s.step_ms; }},
        {"gate_cmp", [](const LoggedStep& s) { return s.gates.mean[0]; }},
        {"gate_sel", [](const LoggedStep& s) { return s.gates.mean[1]; }},
        {"gate_win", [](const LoggedStep& s) { return s.gates.mean[2]; }},
        {"gate_entropy", [](const LoggedStep& s) { return s.gates.entropy; }},
        {"gate_taken_all", [](const LoggedStep& s) { return s.gates.taken_all; }},
        {"gate_collapsed", [](const LoggedStep& s) { return s.gates.collapsed() ? 1.0 : 0.0; }},
    };
    return all;
}

std::vector<std::string> header() {
    std::vector<std::string> names{"step"};
    for (const Column& column : columns())
        names.emplace_back(column.name);
    return names;
}

}  // namespace

StepLog::StepLog(tools::Output& output)
    : output_{output}, csv_{output.artifacts / "training.csv", header()} {}

void StepLog::add(const LoggedStep& step) {
    const auto index = static_cast<std::int64_t>(steps_.size());
    const auto metric = [&](const char* name, double value, const char* unit) {
        output_.results.write(Metric{.name = name, .value = value, .unit = unit, .sample = index});
    };
    metric("loss", step.loss, "nat");
    metric("grad_norm", step.grad_norm, "1");
    metric("tokens_per_s", step.tokens_per_s, "tok/s");
    metric("step_ms", step.step_ms, "ms");
    gates::write(output_, step.gates, {}, index);
    std::vector<std::string> row{std::to_string(index)};
    for (const Column& column : columns())
        row.push_back(tools::csv_number(column.value(step)));
    csv_.row(row);
    steps_.push_back(step);
    std::cout << "step " << index << ": loss " << step.loss << ", gradient norm " << step.grad_norm << ", "
              << step.tokens_per_s << " tok/s, gates " << step.gates.mean[0] << "/" << step.gates.mean[1]
              << "/" << step.gates.mean[2] << (step.gates.collapsed() ? " (collapsed)" : "")
              << (step.overflowed ? " (fp16 overflow: not applied, loss scale halved)" : "") << std::endl;
}

void StepLog::finish(const std::vector<std::pair<std::string, std::string>>& facts) {
    std::string text = "{";
    for (const auto& [name, value] : facts)
        text += tools::json_text(name) + ":" + tools::json_text(value) + ",";
    for (const Column& column : columns()) {
        text += (text.back() == ']' ? "," : "") + tools::json_text(column.name) + ":[";
        for (const LoggedStep& step : steps_)
            text += (text.back() == '[' ? "" : ",") + tools::json_number(column.value(step));
        text += "]";
    }
    const std::filesystem::path path = output_.artifacts / "training.json";
    std::ofstream file{path, std::ios::binary | std::ios::trunc};
    file << text << "}\n" << std::flush;
    if (!file) throw std::runtime_error{"cannot write " + path.string() + ": " + std::strerror(errno)};
}

double loss_gap(double loss, double other) {
    if (!std::isfinite(loss) || !(other > 0) || !std::isfinite(other)) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    return std::abs(loss - other) / other;
}

void write_comparison(tools::Output& output, const std::vector<LoggedStep>& steps,
                      const std::vector<double>& compared) {
    tools::CsvWriter csv{output.artifacts / "compared.csv", {"step", "loss", "loss_compared", "loss_gap"}};
    double worst = 0;
    for (std::size_t i = 0; i < compared.size(); ++i) {
        const double gap = loss_gap(steps.at(i).loss, compared[i]);
        const auto sample = static_cast<std::int64_t>(i);
        output.results.write(
            Metric{.name = "loss_compared", .value = compared[i], .unit = "nat", .sample = sample});
        output.results.write(Metric{.name = "loss_gap", .value = gap, .unit = "1", .sample = sample});
        csv.row({std::to_string(i), tools::csv_number(steps[i].loss), tools::csv_number(compared[i]),
                 tools::csv_number(gap)});
        worst = std::isnan(gap) || gap > worst ? gap : worst;
    }
    std::cout << "the other route's losses differ by at most " << worst << " of themselves" << std::endl;
}

}  // namespace nsa::core::train
