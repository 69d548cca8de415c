#include "reports/plots.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "language/judge.hpp"
#include "language/text.hpp"

namespace nsa::reports {

namespace {

using language::Labels;
using Style = PlotLine::Style;

constexpr std::size_t kMostLines = 8;  // that can be told apart
constexpr std::string_view kTotal = "ms_total", kLength = "S";
constexpr std::array<std::string_view, 3> kPeers{"cudnn", "fa2", "sdpa"};

std::optional<double> number_of(const Labels& labels, std::string_view name) {
    const auto found = labels.find(std::string(name));
    if (found == labels.end() || found->second.empty()) return std::nullopt;
    char* end = nullptr;
    const double value = std::strtod(found->second.c_str(), &end);
    if (*end != '\0' || !std::isfinite(value)) return std::nullopt;
    return value;
}

Labels without(Labels labels, std::string_view name) {
    labels.erase(std::string(name));
    return labels;
}

PlotPoint point_of(double x, const Series& series) {
    PlotPoint point{x, median_of(series), std::nullopt};
    if (series.samples.size() > 1)
        point.bar = {language::quantile(series.samples, 0.25), language::quantile(series.samples, 0.75)};
    return point;
}

void sort_by_x(PlotLine& line) {
    std::stable_sort(line.points.begin(), line.points.end(),
                     [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
}

std::string in_unit(const std::string& metric, const std::string& unit) {
    return unit.empty() || unit == "1" || unit == metric ? metric : metric + " in " + unit;
}

// Rows of a metric with a number as label `name`, by their other labels.
std::map<Labels, PlotLine> lines_over(const CaseFacts& one, std::string_view metric, std::string_view name) {
    std::map<Labels, PlotLine> lines;
    for (const Series& series : one.series) {
        const std::optional<double> x = number_of(series.labels, name);
        if (series.metric != metric || !x || series.samples.empty()) continue;
        lines[without(series.labels, name)].points.push_back(point_of(*x, series));
    }
    for (auto& [labels, line] : lines) {
        sort_by_x(line);
        line.name = language::format_labels(labels);
        if (line.name.empty()) line.name = metric;
    }
    return lines;
}

// The rows of one metric with these other labels, as a line over S; no points when there are none.
PlotLine line_beside(const CaseFacts& one, const std::string& metric, const Labels& others, Style style,
                     std::string name) {
    std::map<Labels, PlotLine> lines = lines_over(one, metric, kLength);
    const auto found = lines.find(others);
    PlotLine line = found == lines.end() ? PlotLine{} : std::move(found->second);
    line.style = style;
    line.name = std::move(name);
    return line;
}

void add_if_any(Plot& plot, PlotLine line) {
    if (!line.points.empty()) plot.lines.push_back(std::move(line));
}

Plot plot_over_length(const std::string& title, const Labels& others) {
    const std::string row = language::format_labels(others);
    return {title, "sequence length S", "milliseconds" + (row.empty() ? "" : ", " + row), {}};
}

// Labels that are numbers in every row of the metric and not the same in all of them: S first.
std::string label_to_plot_over(const CaseFacts& one, const std::string& metric) {
    std::map<std::string, std::set<double>> values;
    std::size_t rows = 0;
    std::map<std::string, std::size_t> numbers;
    for (const Series& series : one.series) {
        if (series.metric != metric) continue;
        ++rows;
        for (const auto& [name, text] : series.labels) {
            if (const std::optional<double> value = number_of(series.labels, name)) {
                values[name].insert(*value);
                ++numbers[name];
            }
        }
    }
    std::erase_if(values,
                  [&](const auto& entry) { return entry.second.size() < 2 || numbers[entry.first] != rows; });
    if (values.empty()) return {};
    return values.contains(std::string(kLength)) ? std::string(kLength) : values.begin()->first;
}

std::vector<std::pair<std::string, std::string>> metrics_with_units(const CaseFacts& one) {
    std::vector<std::pair<std::string, std::string>> metrics;
    for (const Series& series : one.series) {
        const std::pair<std::string, std::string> entry{series.metric, series.unit};
        if (std::find(metrics.begin(), metrics.end(), entry) == metrics.end()) metrics.push_back(entry);
    }
    return metrics;
}

void scale(PlotLine& line, double factor) {
    for (PlotPoint& point : line.points) {
        point.y *= factor;
        if (point.bar) point.bar = {point.bar->first * factor, point.bar->second * factor};
    }
}

// Bytes by the largest unit that the highest of them fills.
void say_in_binary_units(const std::string& metric, Plot& plot) {
    constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    double most = 0;
    for (const PlotLine& line : plot.lines) {
        for (const PlotPoint& point : line.points)
            most = std::isfinite(point.y) ? std::max(most, point.y) : most;
    }
    std::size_t unit = 0;
    double factor = 1;
    for (; most * factor >= 1024 && unit + 1 < kUnits.size(); ++unit)
        factor /= 1024;
    for (PlotLine& line : plot.lines)
        scale(line, factor);
    plot.y_label = in_unit(metric, std::string(kUnits[unit]));
}

bool stands_in_length_plots(const CaseFacts& one, const std::string& metric) {
    const bool beside =
        metric == "ms_floor" || std::any_of(kPeers.begin(), kPeers.end(), [&](std::string_view peer) {
            return metric == "ms_" + std::string(peer);
        });
    return (metric == kTotal || beside) && !lines_over(one, kTotal, kLength).empty();
}

}  // namespace

std::vector<Plot> length_plots(const CaseFacts& one) {
    std::vector<Plot> plots;
    for (auto& [others, total] : lines_over(one, kTotal, kLength)) {
        Plot plot = plot_over_length(name_of(one), others);
        total.name = "whole (ms_total)";
        plot.lines.push_back(std::move(total));
        add_if_any(
            plot, line_beside(one, "ms_floor", others, Style::kFloor, "floor of bytes and FLOPs (ms_floor)"));
        for (const std::string_view peer : kPeers) {
            const std::string metric = "ms_" + std::string(peer);
            add_if_any(plot, line_beside(one, metric, others, Style::kReference,
                                         "full attention by " + std::string(peer) + " (" + metric + ")"));
        }
        plots.push_back(std::move(plot));
    }
    return plots;
}

std::vector<Plot> comparison_plots(const std::vector<const CaseFacts*>& cases) {
    if (cases.size() < 2 || cases.size() > kMostLines) return {};
    std::map<Labels, Plot> plots;
    for (const CaseFacts* one : cases) {
        for (auto& [others, line] : lines_over(*one, kTotal, kLength)) {
            Plot& plot = plots.try_emplace(others, plot_over_length("Whole (ms_total) of every case", others))
                             .first->second;
            line.name = name_of(*one);
            plot.lines.push_back(std::move(line));
        }
    }
    std::vector<Plot> list;
    for (auto& [others, plot] : plots) {
        if (plot.lines.size() > 1) list.push_back(std::move(plot));
    }
    return list;
}

std::vector<Plot> label_plots(const CaseFacts& one) {
    std::vector<Plot> plots;
    for (const auto& [metric, unit] : metrics_with_units(one)) {
        if (stands_in_length_plots(one, metric)) continue;
        const std::string label = label_to_plot_over(one, metric);
        if (label.empty()) continue;
        Plot plot{name_of(one) + ": " + metric, label, in_unit(metric, unit), {}};
        for (auto& [others, line] : lines_over(one, metric, label))
            plot.lines.push_back(std::move(line));
        if (unit == "B") say_in_binary_units(metric, plot);
        if (plot.lines.size() <= kMostLines) plots.push_back(std::move(plot));
    }
    return plots;
}

std::vector<Plot> loss_plots(const CaseFacts& one) {
    Plot plot{name_of(one) + ": loss", "step", "loss", {}};
    for (const Series& series : one.series) {
        if (series.metric != "loss" || plot.lines.size() == kMostLines) continue;
        const std::string row = language::format_labels(series.labels);
        PlotLine line{row.empty() ? "loss" : row, Style::kMeasured, {}};
        // A drawing cannot show more than it has pixels: then a point is the median of some steps.
        constexpr std::size_t kMostPoints = 400;
        const std::size_t width = (series.samples.size() + kMostPoints - 1) / kMostPoints;
        for (std::size_t i = 0; i < series.samples.size(); i += width) {
            const std::size_t end = std::min(i + width, series.samples.size());
            line.points.push_back(
                {static_cast<double>(i),
                 language::median({series.samples.begin() + static_cast<std::ptrdiff_t>(i),
                                   series.samples.begin() + static_cast<std::ptrdiff_t>(end)}),
                 std::nullopt});
        }
        plot.lines.push_back(std::move(line));
    }
    return {std::move(plot)};
}

std::vector<Plot> repetition_plots(const Repeated& repeated) {
    Plot plot{
        repeated.name + " by repetition", "repetition", "ms_total, relative to the median of its row", {}};
    std::map<std::pair<double, Labels>, PlotLine> lines;  // by S, where they have one
    for (std::size_t i = 0; i < repeated.cases.size(); ++i) {
        for (const Series& series : repeated.cases[i]->series) {
            if (series.metric != kTotal || series.samples.empty()) continue;
            PlotLine& line = lines[{number_of(series.labels, kLength).value_or(0), series.labels}];
            line.name = series.labels.empty() ? std::string(kTotal) : language::format_labels(series.labels);
            line.points.push_back(point_of(static_cast<double>(i + 1), series));
        }
    }
    if (lines.size() > kMostLines) return {};
    for (auto& [labels, line] : lines) {
        std::vector<double> medians;
        for (const PlotPoint& point : line.points)
            medians.push_back(point.y);
        scale(line, 1 / language::median(medians));
        plot.lines.push_back(std::move(line));
    }
    return {std::move(plot)};
}

}  // namespace nsa::reports
