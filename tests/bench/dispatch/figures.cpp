#include "figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

namespace nsa::bench {
namespace {

std::string goal_text(const Figure& figure) {
    if (figure.at_most) return fmt::format("<= {:g}", *figure.at_most);
    if (figure.at_least) return fmt::format(">= {:g}", *figure.at_least);
    return "";
}

std::string verdict(const Figure& figure) {
    if (!figure.at_most && !figure.at_least) return "";
    return figure.meets_goal() ? "met" : "MISSED";
}

// "ms" figures are better when small, "/s" figures when large.
bool small_is_good(const Figure& figure) {
    return figure.unit.find("/s") == std::string::npos;
}

}  // namespace

double percentile(std::vector<double> samples, double p) {
    std::sort(samples.begin(), samples.end());
    const auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(samples.size())));
    return samples[std::clamp<std::size_t>(rank, 1, samples.size()) - 1];
}

bool Figure::meets_goal() const {
    return (!at_most || value() <= *at_most) && (!at_least || value() >= *at_least);
}

void Figures::add(Figure figure) {
    fmt::print(stderr, "  {:<58} {:>12.3f} {}\n", figure.what, figure.value(), figure.unit);
    figures_.push_back(std::move(figure));
}

const Figure* Figures::find(const std::string& id) const {
    const auto found =
        std::find_if(figures_.begin(), figures_.end(), [&](const Figure& f) { return f.id == id; });
    return found == figures_.end() ? nullptr : &*found;
}

std::optional<double> Figures::advantage(const Figure& figure) const {
    const Figure* other = find(figure.compared_with);
    if (other == nullptr) return std::nullopt;
    return small_is_good(figure) ? other->value() / figure.value() : figure.value() / other->value();
}

void Figures::print_table() const {
    fmt::print("{:<58} {:>11} {:<8} {:>5} {:>17} {:>9} {:>7}  {}\n", "figure", "value", "unit", "n",
               "[min .. max]", "goal", "", "advantage");
    for (const Figure& figure : figures_) {
        const auto [low, high] = std::minmax_element(figure.samples.begin(), figure.samples.end());
        std::string ratio;
        if (const std::optional<double> better = advantage(figure)) {
            ratio = fmt::format("{:.1f}x over {}", *better, figure.compared_with);
        }
        fmt::print("{:<58} {:>11.3f} {:<8} {:>5} {:>17} {:>9} {:>7}  {}\n", figure.what, figure.value(),
                   figure.unit, figure.samples.size(), fmt::format("[{:.4g} .. {:.4g}]", *low, *high),
                   goal_text(figure), verdict(figure), ratio);
    }
}

std::string Figures::to_json() const {
    boost::json::array rows;
    for (const Figure& figure : figures_) {
        const auto [low, high] = std::minmax_element(figure.samples.begin(), figure.samples.end());
        boost::json::object row{{"id", figure.id},
                                {"what", figure.what},
                                {"unit", figure.unit},
                                {"value", figure.value()},
                                {"percentile", figure.shown},
                                {"samples", figure.samples.size()},
                                {"median", median(figure.samples)},
                                {"min", *low},
                                {"max", *high},
                                {"p95", percentile(figure.samples, 0.95)}};
        if (figure.at_most) row["at_most"] = *figure.at_most;
        if (figure.at_least) row["at_least"] = *figure.at_least;
        if (figure.at_most || figure.at_least) row["met"] = figure.meets_goal();
        if (const std::optional<double> better = advantage(figure)) {
            row["advantage"] = *better;
            row["compared_with"] = figure.compared_with;
        }
        rows.emplace_back(std::move(row));
    }
    return boost::json::serialize(rows);
}

bool Figures::all_goals_met() const {
    return std::all_of(figures_.begin(), figures_.end(), [](const Figure& f) { return f.meets_goal(); });
}

}  // namespace nsa::bench
