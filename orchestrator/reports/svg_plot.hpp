// A line plot as SVG text: values in, bytes out, the same bytes for the same values. It needs nothing from
// elsewhere, holds no script, and text in it is shown, never obeyed. Private to this box.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsa::reports {

struct PlotPoint {
    double x = 0, y = 0;                           // those that are not finite are not drawn
    std::optional<std::pair<double, double>> bar;  // from, to
};

struct PlotLine {
    enum class Style {
        kMeasured,   // solid, with a marker at every point
        kReference,  // dashed: what it stands against
        kFloor,      // dotted: what cannot be undercut
    };
    std::string name;
    Style style = Style::kMeasured;
    std::vector<PlotPoint> points;
};

struct Plot {
    std::string title, x_label, y_label;
    std::vector<PlotLine> lines;
};

// Whether there is something to see: a line with two places on the x axis.
bool can_be_drawn(const Plot& plot);

// What it shows in words, for whoever cannot see it: each line's first and last value.
std::string description_of(const Plot& plot);

// An <svg> element. `id`: unique in its page; of letters, digits and '-'. Axes are logarithmic where values
// span a decade or more, and say so.
std::string svg_of(const Plot& plot, std::string_view id);

}  // namespace nsa::reports
