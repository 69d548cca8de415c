// Plots as values and as SVG text.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "reports/figures.hpp"
#include "reports/plot_axis.hpp"
#include "reports/plots.hpp"
#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

using language::Status;
using synthetic::a_run;
using synthetic::decode_case;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST(Axis, Is_logarithmic_where_values_span_a_decade_and_linear_from_zero_elsewhere) {
    const PlotAxis wide = axis_over({0.03, 0.5, 7});
    EXPECT_TRUE(wide.logarithmic);
    EXPECT_THAT(wide.ticks, SizeIs(9));  // 0.02 to 10 by 1, 2, 5
    EXPECT_DOUBLE_EQ(wide.ticks.front(), 0.02);
    EXPECT_DOUBLE_EQ(wide.place(wide.low), 0);
    EXPECT_DOUBLE_EQ(wide.place(wide.high), 1);
    const PlotAxis narrow = axis_over({1, 4.5});
    EXPECT_FALSE(narrow.logarithmic);
    EXPECT_THAT(narrow.ticks, ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_FALSE(axis_over({-5, 0, 50}).logarithmic);
    EXPECT_EQ(axis_over({7, 7}).place(7), 0) << "one value alone has a place";
    EXPECT_EQ(axis_over({0}).high, 1);
}

TEST(Axis, Of_a_few_places_has_them_as_ticks_unless_their_labels_would_touch) {
    EXPECT_THAT(axis_at({2048, 512, 1024, 512}).ticks, ElementsAre(512, 1024, 2048));
    EXPECT_THAT(axis_at({1, 1.01, 8}).ticks, ElementsAre(1, 8));
    EXPECT_TRUE(axis_at({1024, 65536}).logarithmic);
}

Plot a_plot() {
    return {
        "Title", "S", "ms", {{"one", PlotLine::Style::kMeasured, {{1, 2, std::pair{1.5, 2.5}}, {2, 4, {}}}}}};
}

TEST(Svg, Is_the_same_bytes_for_the_same_values_and_says_in_words_what_it_shows) {
    const std::string svg = svg_of(a_plot(), "plot-1");
    EXPECT_EQ(svg, svg_of(a_plot(), "plot-1"));
    EXPECT_THAT(svg, HasSubstr("role=\"img\" aria-labelledby=\"plot-1-title plot-1-desc\""));
    EXPECT_THAT(svg, HasSubstr("<desc id=\"plot-1-desc\">ms by S. one: 2 at 1, 4 at 2.</desc>"));
}

TEST(Svg, Text_in_it_is_shown_and_never_obeyed) {
    Plot plot = a_plot();
    plot.title = plot.x_label = plot.y_label = plot.lines[0].name =
        "</text><script>alert(1)</script>\x1b[31m\xff\xe2\x80\xae\" onload=\"x";
    const std::string svg = svg_of(plot, "p");
    EXPECT_THAT(svg, Not(HasSubstr("<script")));
    EXPECT_THAT(svg, Not(HasSubstr("\" onload")));
    EXPECT_THAT(svg, Not(HasSubstr("\x1b")));
    EXPECT_THAT(svg, Not(HasSubstr("\xff")));
    EXPECT_THAT(svg, Not(HasSubstr("\xe2\x80\xae")));
}

TEST(Svg, What_is_not_finite_is_left_out) {
    Plot plot = a_plot();
    plot.lines[0].points = {{1, std::nan(""), {}}, {2, HUGE_VAL, {}}, {3, 5, std::pair{std::nan(""), 9.0}}};
    EXPECT_FALSE(can_be_drawn(plot)) << "one place is no line";
    EXPECT_THAT(svg_of(plot, "p"), Not(HasSubstr("nan")));
    plot.lines[0].points.push_back({4, 6, {}});
    EXPECT_TRUE(can_be_drawn(plot));
}

TEST(Svg, A_place_without_a_number_is_a_gap_in_its_line) {
    Plot plot = a_plot();
    plot.lines[0].points = {{1, 1, {}}, {2, std::nan(""), {}}, {3, 1, {}}, {4, 1, {}}};
    EXPECT_THAT(svg_of(plot, "p"), testing::ContainsRegex("d=\"M[0-9. ]+M[0-9. ]+L[0-9. ]+\" fill=\"none\""));
}

TEST(Plots, A_bench_stands_beside_its_floor_and_full_attention_with_bars_of_its_middle_half) {
    CaseFacts bench = decode_case("d", true);
    bench.series.push_back({"ms_floor", "ms", {{"S", "512"}}, {0.1}});
    bench.series.push_back({"ms_floor", "ms", {{"S", "2048"}}, {0.2}});
    bench.series.push_back({"ms_fa2", "ms", {{"S", "2048"}}, {0.9}});
    const std::vector<Plot> plots = length_plots(bench);
    ASSERT_THAT(plots, SizeIs(1));
    ASSERT_THAT(plots[0].lines, SizeIs(3));
    EXPECT_EQ(plots[0].lines[1].style, PlotLine::Style::kFloor);
    EXPECT_EQ(plots[0].lines[2].name, "full attention by fa2 (ms_fa2)");
    const PlotPoint& first = plots[0].lines[0].points.front();
    EXPECT_EQ(first.x, 512);
    EXPECT_DOUBLE_EQ(first.y, 0.5);
    ASSERT_TRUE(first.bar.has_value());
    EXPECT_DOUBLE_EQ(first.bar->first, 0.495);
    EXPECT_DOUBLE_EQ(first.bar->second, 0.505);
}

TEST(Plots, Passes_have_plots_of_their_own) {
    CaseFacts bench = synthetic::a_case("p", "prefill_bench", "");
    for (const char* pass : {"forward", "backward"}) {
        for (const char* seq : {"512", "1024"})
            bench.series.push_back({"ms_total", "ms", {{"S", seq}, {"pass", pass}}, {1, 2}});
    }
    const std::vector<Plot> plots = length_plots(bench);
    ASSERT_THAT(plots, SizeIs(2));
    EXPECT_EQ(plots[0].y_label, "milliseconds, pass=backward");
}

TEST(Plots, A_command_is_drawn_over_the_label_that_is_a_number) {
    CaseFacts one = synthetic::a_case("c", "command", "");
    for (const char* size : {"10", "20"}) {
        for (const char* way : {"a", "b"})
            one.series.push_back({"rate", "GB/s", {{"size", size}, {"way", way}}, {1}});
    }
    one.series.push_back({"alone", "1", {{"size", "10"}}, {1}});
    one.series.push_back({"text", "1", {{"size", "10"}}, {1}});
    one.series.push_back({"text", "1", {{"size", "ten"}}, {1}});
    const std::vector<Plot> plots = label_plots(one);
    ASSERT_THAT(plots, SizeIs(1));
    EXPECT_EQ(plots[0].x_label + " / " + plots[0].y_label, "size / rate in GB/s");
    EXPECT_THAT(plots[0].lines, SizeIs(2));
    EXPECT_EQ(plots[0].lines[0].name, "way=a");
}

TEST(Plots, Bytes_are_drawn_in_the_largest_unit_that_they_fill) {
    CaseFacts one = synthetic::a_case("c", "memory_scaling", "");
    for (const char* seq : {"256", "512"})
        one.series.push_back({"peak_bytes", "B", {{"S", seq}, {"route", "sdpa"}}, {std::stod(seq) * 8192}});
    const std::vector<Plot> plots = label_plots(one);
    ASSERT_THAT(plots, SizeIs(1));
    EXPECT_EQ(plots[0].y_label, "peak_bytes in MiB");
    EXPECT_EQ(plots[0].lines[0].points[1].y, 4);
}

TEST(Figures, A_command_that_writes_the_rows_of_a_bench_is_drawn_like_one) {
    CaseFacts one = decode_case("c", false);
    one.planned.kind = "command";
    one.series.push_back({"ms_floor", "ms", {{"S", "512"}}, {0.1}});
    const std::vector<Figure> figures = figures_of(a_run(Status::kPass, {one}, false));
    ASSERT_THAT(figures, testing::Not(IsEmpty()));
    EXPECT_EQ(figures[0].plot.lines[1].style, PlotLine::Style::kFloor);
    for (const Figure& figure : figures)
        EXPECT_NE(figure.plot.title, "Decode step (c): ms_total") << "not a second time";
}

TEST(Figures, Benches_of_a_kind_are_compared_and_drawn_alone_only_for_what_stands_beside_them) {
    CaseFacts with_floor = decode_case("b", true);
    for (const char* seq : {"512", "2048"})
        with_floor.series.push_back({"ms_floor", "ms", {{"S", seq}}, {0.1}});
    const RunFacts facts = a_run(Status::kPass, {decode_case("a", true), with_floor}, true);
    const std::vector<Figure> figures = figures_of(facts);
    ASSERT_THAT(figures, SizeIs(2));
    EXPECT_EQ(figures[0].place, kind_place("decode_bench"));
    EXPECT_EQ(figures[1].place, case_place(facts.cases[1]));
    EXPECT_EQ(figures[1].path, "plots/2.svg");
}

TEST(Figures, Repetitions_are_drawn_in_their_order_instead_of_one_by_one) {
    const std::vector<Figure> figures = figures_of(synthetic::repeated());
    ASSERT_THAT(figures, SizeIs(2));
    EXPECT_EQ(figures[1].plot.title, "decode_fa2_dense by repetition");
    const PlotLine& shortest = figures[1].plot.lines.front();
    EXPECT_EQ(shortest.name, "S=512") << "by length, not by letters";
    ASSERT_THAT(shortest.points, SizeIs(2));
    EXPECT_NEAR(shortest.points[0].y, 0.48 / 0.49, 1e-12) << "relative to the median of both";
    EXPECT_NEAR(shortest.points[1].y, 0.50 / 0.49, 1e-12);
}

TEST(Figures, A_run_that_measured_nothing_over_anything_has_none) {
    EXPECT_THAT(figures_of(synthetic::crashed()), IsEmpty());
}

TEST(Figures, Names_of_others_do_not_break_out_of_the_page) {
    RunFacts facts = synthetic::hostile();
    const std::string bad = facts.cases[0].planned.title;
    for (const char* size : {"1", "2"})
        facts.cases[0].series.push_back({bad + "2", bad, {{bad, size}}, {1}});
    const Rendered rendered = render(facts);
    ASSERT_THAT(rendered.figures, SizeIs(1));
    EXPECT_THAT(rendered.html, HasSubstr("<figure><svg"));
    EXPECT_THAT(rendered.html, Not(HasSubstr("<script")));
    EXPECT_THAT(rendered.html, Not(HasSubstr("<img")));
}

}  // namespace
}  // namespace nsa::reports
