#include "reports/plot_axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace nsa::reports {

namespace {

constexpr double kDecade = 10;
constexpr std::array kSteps{1.0, 2.0, 5.0, 10.0};

// The least of 1, 2, 5 times a power of ten that is not below `value`, which is positive.
double round_up(double value) {
    const double power = std::pow(10, std::floor(std::log10(value)));
    for (const double step : kSteps) {
        if (step * power >= value * (1 - 1e-9)) return step * power;
    }
    return kSteps.back() * power;
}

double round_down(double value) {
    const double power = std::pow(10, std::floor(std::log10(value)));
    for (auto step = kSteps.rbegin(); step != kSteps.rend(); ++step) {
        if (*step * power <= value * (1 + 1e-9)) return *step * power;
    }
    return power;
}

// 1, 2, 5 in every decade; powers of ten alone where that would be too many.
std::vector<double> decade_ticks(double low, double high) {
    constexpr double kMostDecades = 3;
    const bool few = std::log10(high / low) <= kMostDecades;
    std::vector<double> ticks;
    for (double power = std::pow(10, std::floor(std::log10(low))); power <= high * (1 + 1e-9); power *= 10) {
        for (const double step : {1.0, 2.0, 5.0}) {
            const double tick = step * power;
            if ((few || step == 1) && tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9))
                ticks.push_back(tick);
        }
    }
    return ticks;
}

PlotAxis linear_axis(double least, double most) {
    constexpr double kMostSteps = 7;
    if (least > 0 && least < 0.5 * most) least = 0;
    if (least == most) most = least == 0 ? 1 : least + std::abs(least);
    const double step = round_up((most - least) / kMostSteps);
    PlotAxis axis{false, std::floor(least / step) * step, std::ceil(most / step) * step, {}};
    const auto count = static_cast<int>(std::lround((axis.high - axis.low) / step));
    for (int i = 0; i <= count; ++i)
        axis.ticks.push_back(axis.low + i * step);
    return axis;
}

}  // namespace

double PlotAxis::place(double value) const {
    const double part = logarithmic ? value > 0 ? std::log(value / low) / std::log(high / low) : 0
                                    : (value - low) / (high - low);
    return std::clamp(part, 0.0, 1.0);
}

PlotAxis axis_over(const std::vector<double>& values) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    if (!(*least > 0) || *most < kDecade * *least) return linear_axis(*least, *most);
    const double low = round_down(*least), high = round_up(*most);
    return {true, low, high, decade_ticks(low, high)};
}

PlotAxis axis_at(std::vector<double> values) {
    constexpr std::size_t kMostTicks = 9;
    constexpr double kNearest = 0.07;  // of the axis: labels of two ticks would touch
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    const double least = values.front(), most = values.back();
    if (values.size() > kMostTicks || least == most) return axis_over(values);
    PlotAxis axis{least > 0 && most >= kDecade * least, least, most, {}};
    for (const double value : values) {
        const bool apart =
            axis.ticks.empty() || axis.place(value) - axis.place(axis.ticks.back()) >= kNearest;
        if (apart) axis.ticks.push_back(value);
    }
    return axis;
}

}  // namespace nsa::reports
