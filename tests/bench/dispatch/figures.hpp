// Figures of one bench run: samples, goals, ratios; as a table and as JSON.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace nsa::bench {

using Clock = std::chrono::steady_clock;

inline double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Sorted samples; p in 0..1.
double percentile(std::vector<double> samples, double p);
inline double median(const std::vector<double>& samples) {
    return percentile(samples, 0.5);
}

struct Figure {
    std::string id, what, unit;   // "warm_control", "control message on a warm connection", "ms"
    std::vector<double> samples;  // at least one
    double shown = 0.5;           // which percentile is the figure
    std::optional<double> at_most = {}, at_least = {};  // the goal
    std::string compared_with = {};                     // id of another figure; empty: none
    double value() const { return percentile(samples, shown); }
    bool meets_goal() const;
};

class Figures {
  public:
    void add(Figure figure);  // prints its line
    // Ratio of two figures such that more is better for `figure`; nothing when the other was not measured.
    std::optional<double> advantage(const Figure& figure) const;
    void print_table() const;
    std::string to_json() const;
    bool all_goals_met() const;

  private:
    const Figure* find(const std::string& id) const;
    std::vector<Figure> figures_;
};

}  // namespace nsa::bench
