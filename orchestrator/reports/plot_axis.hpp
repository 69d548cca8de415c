// One axis of a plot: where values lie on it, and which of them are written beside it. Private to this box.
#pragma once

#include <vector>

namespace nsa::reports {

struct PlotAxis {
    bool logarithmic = false;
    double low = 0, high = 1;   // its ends
    std::vector<double> ticks;  // ascending, within the ends

    // 0 at its low end, 1 at its high end; values beyond are put onto the end.
    double place(double value) const;
};

// For finite values, at least one. Logarithmic where they are positive and span a decade or more; else it
// starts at 0 where that costs less than half of it.
PlotAxis axis_over(const std::vector<double>& values);

// The same, with the values themselves as ticks where there are few of them: sequence lengths, repetitions.
PlotAxis axis_at(std::vector<double> values);

}  // namespace nsa::reports
