#include "reports/svg_plot.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "reports/plot_axis.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

namespace {

using Style = PlotLine::Style;

// Told apart by hue, by lightness and by marker.
constexpr std::array<std::string_view, 8> kColours{"#0b5cad", "#c4501b", "#00795c", "#7d3f98",
                                                   "#9a6b00", "#a3245b", "#2b7f9e", "#3d4b5c"};
constexpr std::string_view kInk = "#1c2430", kSoft = "#5b6675", kGrid = "#d9dfe7";

// Pixels of the drawing; a page scales it.
constexpr std::size_t kLongestTitle = 72;  // that fits; <title> has all of it
constexpr double kInset = 14;  // between the ends of the x axis and the first and last place on it
constexpr double kWidth = 760, kLeft = 78, kRight = 738, kTop = 62, kBottom = 330, kLegend = 398, kRow = 20;
constexpr std::size_t kMostMarkers = 40;  // of one line; more would be a smear

struct Canvas {
    std::string text;
    PlotAxis x, y;

    double across(double value) const {
        return kLeft + kInset + x.place(value) * (kRight - kLeft - 2 * kInset);
    }
    double down(double value) const { return kBottom - y.place(value) * (kBottom - kTop); }
};

std::string px(double value) {
    std::array<char, 32> buffer{};
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, 1);
    return {buffer.data(), end.ptr};
}

std::string shown(std::string_view text, std::size_t longest = 100) {
    return escape_html(clean(text, longest));
}

bool is_drawn(const PlotPoint& point) {
    return std::isfinite(point.x) && std::isfinite(point.y);
}

std::vector<PlotPoint> drawn(const PlotLine& line) {
    std::vector<PlotPoint> points;
    std::copy_if(line.points.begin(), line.points.end(), std::back_inserter(points), is_drawn);
    return points;
}

std::string segment(double x1, double y1, double x2, double y2, std::string_view colour) {
    return "<path d=\"M" + px(x1) + " " + px(y1) + "L" + px(x2) + " " + px(y2) + "\" stroke=\"" +
           std::string(colour) + "\"/>\n";
}

std::string label(double x, double y, std::string_view anchor, std::string_view colour,
                  const std::string& text) {
    return "<text x=\"" + px(x) + "\" y=\"" + px(y) + "\" text-anchor=\"" + std::string(anchor) +
           "\" fill=\"" + std::string(colour) + "\">" + text + "</text>\n";
}

std::string marker(double x, double y, std::size_t index, std::string_view colour) {
    const std::string fill = "\" fill=\"" + std::string(colour) + "\"/>\n";
    switch (index % 4) {
        case 0:
            return "<circle cx=\"" + px(x) + "\" cy=\"" + px(y) + "\" r=\"4" + fill;
        case 1:
            return "<path d=\"M" + px(x - 3.6) + " " + px(y - 3.6) + "h7.2v7.2h-7.2z" + fill;
        case 2:
            return "<path d=\"M" + px(x) + " " + px(y - 4.6) + "l4.6 8.2h-9.2z" + fill;
        default:
            return "<path d=\"M" + px(x) + " " + px(y - 5) + "l5 5l-5 5l-5 -5z" + fill;
    }
}

std::string_view dashes(Style style) {
    switch (style) {
        case Style::kMeasured:
            return "";
        case Style::kReference:
            return " stroke-dasharray=\"8 4\"";
        case Style::kFloor:
            return " stroke-dasharray=\"2 3\"";
    }
    return "";
}

std::string_view colour_of(const PlotLine& line, std::size_t index) {
    return line.style == Style::kFloor ? kSoft : kColours[index % kColours.size()];
}

void draw_axes(const Plot& plot, Canvas& canvas) {
    for (const double tick : canvas.y.ticks) {
        const double at = canvas.down(tick);
        canvas.text += segment(kLeft, at, kRight, at, kGrid);
        canvas.text += label(kLeft - 8, at + 4, "end", kSoft, number(tick));
    }
    for (const double tick : canvas.x.ticks) {
        const double at = canvas.across(tick);
        canvas.text += segment(at, kBottom, at, kBottom + 5, kSoft);
        canvas.text += label(at, kBottom + 20, "middle", kSoft, number(tick));
    }
    canvas.text += segment(kLeft, kBottom, kRight, kBottom, kSoft);
    const auto scale = [](const PlotAxis& axis) { return axis.logarithmic ? " (log scale)" : ""; };
    canvas.text += label(kLeft, kTop - 16, "start", kSoft, shown(plot.y_label) + scale(canvas.y));
    canvas.text +=
        label((kLeft + kRight) / 2, kBottom + 42, "middle", kSoft, shown(plot.x_label) + scale(canvas.x));
}

void draw_bar(const PlotPoint& point, std::string_view colour, Canvas& canvas) {
    if (!point.bar || !std::isfinite(point.bar->first) || !std::isfinite(point.bar->second)) return;
    const double x = canvas.across(point.x);
    const double from = canvas.down(point.bar->first), to = canvas.down(point.bar->second);
    canvas.text += segment(x, from, x, to, colour) + segment(x - 5, from, x + 5, from, colour) +
                   segment(x - 5, to, x + 5, to, colour);
}

void draw_line(const PlotLine& line, std::size_t index, Canvas& canvas) {
    const std::vector<PlotPoint> points = drawn(line);
    if (points.empty()) return;
    const std::string_view colour = colour_of(line, index);
    std::string path;
    bool goes_on = false;  // a place without a number is a gap
    for (const PlotPoint& point : line.points) {
        if (is_drawn(point)) {
            path += (goes_on ? "L" : "M") + px(canvas.across(point.x)) + " " + px(canvas.down(point.y));
        }
        goes_on = is_drawn(point);
    }
    canvas.text += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + std::string(colour) +
                   "\" stroke-width=\"2\"" + std::string(dashes(line.style)) + "/>\n";
    if (points.size() > kMostMarkers || line.style == Style::kFloor) return;
    for (const PlotPoint& point : points) {
        draw_bar(point, colour, canvas);
        canvas.text += marker(canvas.across(point.x), canvas.down(point.y), index, colour);
    }
}

void draw_legend(const Plot& plot, Canvas& canvas) {
    for (std::size_t i = 0; i < plot.lines.size(); ++i) {
        const PlotLine& line = plot.lines[i];
        const double at = kLegend + static_cast<double>(i) * kRow;
        const std::string_view colour = colour_of(line, i);
        canvas.text += "<path d=\"M" + px(kLeft) + " " + px(at - 4) + "h34\" stroke=\"" +
                       std::string(colour) + "\" stroke-width=\"2\"" + std::string(dashes(line.style)) +
                       "/>\n";
        if (line.style != Style::kFloor) canvas.text += marker(kLeft + 17, at - 4, i, colour);
        canvas.text += label(kLeft + 44, at, "start", kInk, shown(line.name));
    }
}

}  // namespace

bool can_be_drawn(const Plot& plot) {
    return std::any_of(plot.lines.begin(), plot.lines.end(), [](const PlotLine& line) {
        const std::vector<PlotPoint> points = drawn(line);
        return std::any_of(points.begin(), points.end(),
                           [&](const PlotPoint& point) { return point.x != points.front().x; });
    });
}

std::string description_of(const Plot& plot) {
    std::string out = plot.y_label + " by " + plot.x_label + ".";
    for (const PlotLine& line : plot.lines) {
        const std::vector<PlotPoint> points = drawn(line);
        if (points.empty()) continue;
        out += " " + line.name + ": " + number(points.front().y) + " at " + number(points.front().x);
        if (points.size() > 1) out += ", " + number(points.back().y) + " at " + number(points.back().x);
        out += ".";
    }
    return out;
}

std::string svg_of(const Plot& plot, std::string_view id) {
    std::vector<double> xs, ys;
    for (const PlotLine& line : plot.lines) {
        for (const PlotPoint& point : drawn(line)) {
            xs.push_back(point.x);
            ys.push_back(point.y);
            if (point.bar && std::isfinite(point.bar->first) && std::isfinite(point.bar->second))
                ys.insert(ys.end(), {point.bar->first, point.bar->second});
        }
    }
    if (xs.empty()) return {};
    Canvas canvas{{}, axis_at(std::move(xs)), axis_over(ys)};
    const std::string height = px(kLegend + static_cast<double>(plot.lines.size()) * kRow);
    const std::string name(id);
    canvas.text = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + px(kWidth) + " " + height +
                  "\" width=\"" + px(kWidth) + "\" height=\"" + height +
                  "\" role=\"img\" aria-labelledby=\"" + name + "-title " + name +
                  "-desc\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title id=\"" + name +
                  "-title\">" + shown(plot.title) + "</title>\n<desc id=\"" + name + "-desc\">" +
                  shown(description_of(plot), 2000) + "</desc>\n<rect width=\"" + px(kWidth) +
                  "\" height=\"" + height + "\" fill=\"#fff\"/>\n<text x=\"" + px(kLeft) +
                  "\" y=\"24\" font-weight=\"600\" font-size=\"15\" fill=\"" + std::string(kInk) + "\">" +
                  shown(plot.title, kLongestTitle) + "</text>\n";
    draw_axes(plot, canvas);
    for (std::size_t i = 0; i < plot.lines.size(); ++i)
        draw_line(plot.lines[i], i, canvas);
    draw_legend(plot, canvas);
    return canvas.text + "</svg>\n";
}

}  // namespace nsa::reports
