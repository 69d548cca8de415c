#include "summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace nsa::faults {

std::string summary_text(const std::vector<Figure>& figures) {
    std::string text = fmt::format("{:<46} {:<38} {:<18}\n", "figure", "value", "goal");
    for (const Figure& figure : figures) {
        const char* verdict = figure.goal.empty() ? "" : figure.met ? "met" : "MISSED";
        text += fmt::format("{:<46} {:<38} {:<18} {}\n", figure.name, figure.value, figure.goal, verdict);
    }
    return text;
}

void report_failure(Trial& trial, const std::vector<Violation>& violations) {
    trial.failed();
    constexpr std::size_t kShown = 20;
    std::cout << "TRIAL FAILED, folder kept: " << trial.root().string() << "\n";
    for (std::size_t i = 0; i < std::min(kShown, violations.size()); ++i)
        std::cout << "  " << violations[i].rule << ": " << violations[i].text << "\n";
    if (violations.size() > kShown) std::cout << "  and " << violations.size() - kShown << " more\n";
    std::cout << "  again: " << trial.replay() << std::endl;
}

Findings not_run(const std::string& what, const std::string& why) {
    return {.figures = {{what, "NOT RUN: " + why, ""}}, .failures = 0, .not_run = true};
}

double quantile(std::vector<double> samples, double q) {
    if (samples.empty()) return std::nan("");
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(samples.size())));
    const auto at = samples.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
    std::nth_element(samples.begin(), at, samples.end());
    return *at;
}

std::string quantiles_text(const std::vector<double>& samples) {
    if (samples.empty()) return "no samples";
    return fmt::format("p50 {:.0f} ms, p99 {:.0f} ms, n {}", quantile(samples, 0.5), quantile(samples, 0.99),
                       samples.size());
}

}  // namespace nsa::faults
