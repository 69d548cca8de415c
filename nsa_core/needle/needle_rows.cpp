#include "nsa_core/needle/needle_rows.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>

namespace nsa::core::needle {
namespace {

// Share of `true` among all flags of all trials; NaN when there are none.
double share(const std::vector<Trial>& trials, std::vector<bool> Trial::*flags) {
    std::int64_t all = 0;
    std::int64_t set = 0;
    for (const Trial& trial : trials) {
        all += std::ssize(trial.*flags);
        set += std::ranges::count(trial.*flags, true);
    }
    return static_cast<double>(set) / static_cast<double>(all);
}

// NaN when one is.
double largest(const std::vector<double>& errors) {
    double worst = 0;
    for (const double error : errors) {
        if (std::isnan(error)) return error;
        worst = std::max(worst, error);
    }
    return worst;
}

}  // namespace

double Row::hit_rate() const {
    return share(trials, &Trial::hits);
}

double Row::chance_hit_rate() const {
    return share(trials, &Trial::chance_hits);
}

double Row::accuracy(double tolerance) const {
    std::int64_t all = 0;
    std::int64_t right = 0;
    for (const Trial& trial : trials) {
        all += std::ssize(trial.value_errors);
        right += std::ranges::count_if(trial.value_errors, [&](double error) { return error <= tolerance; });
    }
    return static_cast<double>(right) / static_cast<double>(all);
}

double Row::worst_error(const Trial& trial) const {
    return largest(trial.value_errors);
}

std::int64_t position_at(std::int64_t depth, std::int64_t seq) {
    constexpr std::int64_t kPercent = 100;
    return (depth * (seq - 1) + kPercent / 2) / kPercent;
}

Report::Report(tools::Output& output, double tolerance)
    : output_{output},
      tolerance_{tolerance},
      csv_{output.artifacts / "needle.csv",
           {"S", "depth", "position", "block", "forced", "trials", "hit_rate", "chance_hit_rate", "accuracy",
            "value_error_max"}} {}

void Report::add(const Row& row) {
    const tools::Labels labels{{"S", std::to_string(row.seq)}, {"depth", std::to_string(row.depth)}};
    const auto metric = [&](const char* name, double value) {
        output_.results.write(tools::Metric{.name = name, .value = value, .labels = labels});
    };
    metric("hit_rate", row.hit_rate());
    metric("chance_hit_rate", row.chance_hit_rate());
    metric("accuracy", row.accuracy(tolerance_));
    metric("forced", row.forced ? 1 : 0);
    metric("position", static_cast<double>(row.position));
    std::vector<double> errors;
    for (std::size_t i = 0; i < row.trials.size(); ++i) {
        const double error = row.worst_error(row.trials[i]);
        errors.push_back(error);
        output_.results.write(tools::Metric{
            .name = "value_error", .value = error, .labels = labels, .sample = static_cast<std::int64_t>(i)});
    }
    const double worst = largest(errors);
    const auto text = [](std::int64_t value) { return std::to_string(value); };
    csv_.row({text(row.seq), text(row.depth), text(row.position), text(row.block), row.forced ? "1" : "0",
              text(std::ssize(row.trials)), tools::csv_number(row.hit_rate()),
              tools::csv_number(row.chance_hit_rate()), tools::csv_number(row.accuracy(tolerance_)),
              tools::csv_number(worst)});
    std::cout << "S=" << row.seq << " depth " << row.depth << " %: token " << row.position << ", block "
              << row.block << (row.forced ? " (forced)" : "") << ": hit rate " << row.hit_rate()
              << " (by chance " << row.chance_hit_rate() << "), accuracy " << row.accuracy(tolerance_)
              << ", largest error " << worst << std::endl;
}

}  // namespace nsa::core::needle
