#include "reports/figures.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "reports/plots.hpp"

namespace nsa::reports {

namespace {

constexpr std::size_t kMostFigures = 60;
constexpr std::size_t kMostOfACase = 4;
constexpr std::array<std::string_view, 2> kBenches{"decode_bench", "prefill_bench"};

bool is_bench(const CaseFacts& one) {
    return std::find(kBenches.begin(), kBenches.end(), one.planned.kind) != kBenches.end();
}

std::string note_of(const Plot& plot) {
    const bool bars = std::any_of(plot.lines.begin(), plot.lines.end(), [](const PlotLine& line) {
        return line.style != PlotLine::Style::kFloor &&
               std::any_of(line.points.begin(), line.points.end(),
                           [](const PlotPoint& point) { return point.bar.has_value(); });
    });
    return bars ? "Points are medians of the samples, bars span their middle half." : "";
}

class Drawer {
  public:
    void add(const std::string& place, std::vector<Plot> plots, std::size_t most = kMostOfACase) {
        std::erase_if(plots, [](const Plot& plot) { return !can_be_drawn(plot); });
        if (plots.size() > most) plots.resize(most);
        for (Plot& plot : plots) {
            if (figures_.size() == kMostFigures) return;
            const std::string number = std::to_string(figures_.size() + 1);
            Figure figure{place, "plots/" + number + ".svg", std::move(plot), {}, {}};
            figure.note = note_of(figure.plot);
            figure.svg = svg_of(figure.plot, "plot-" + number);
            figures_.push_back(std::move(figure));
        }
    }
    std::vector<Figure> take() { return std::move(figures_); }

  private:
    std::vector<Figure> figures_;
};

// A bench that is compared with others below its kind's table is drawn alone only for what stands beside it.
std::vector<Plot> plots_of(const CaseFacts& one, bool compared) {
    if (one.planned.kind == "train_smoke") return loss_plots(one);
    if (one.planned.kind == "memory_scaling") return label_plots(one);
    if (!is_bench(one) && one.planned.kind != "command") return {};
    std::vector<Plot> plots = length_plots(one);
    if (!is_bench(one)) {
        std::vector<Plot> others = label_plots(one);
        std::move(others.begin(), others.end(), std::back_inserter(plots));
    }
    if (compared) std::erase_if(plots, [](const Plot& plot) { return plot.lines.size() == 1; });
    return plots;
}

}  // namespace

std::string case_place(const CaseFacts& one) {
    return "case " + one.planned.key.value;
}

std::string kind_place(std::string_view kind) {
    return "kind " + std::string(kind);
}

std::string repeats_place(std::string_view name) {
    return "repeats " + std::string(name);
}

std::vector<Figure> figures_of(const RunFacts& facts) {
    Drawer drawer;
    if (facts.plan.repeat.is_asked()) {
        for (const Repeated& repeated : repeated_cases(facts))
            drawer.add(repeats_place(repeated.name), repetition_plots(repeated));
        return drawer.take();
    }
    for (const std::string_view kind : kBenches) {
        std::vector<const CaseFacts*> cases;
        for (const CaseFacts& one : facts.cases) {
            if (one.planned.kind == kind && !length_plots(one).empty()) cases.push_back(&one);
        }
        std::vector<Plot> comparisons = comparison_plots(cases);
        const bool compared = !comparisons.empty();
        drawer.add(kind_place(kind), std::move(comparisons));
        for (const CaseFacts& one : facts.cases) {
            if (one.planned.kind == kind) drawer.add(case_place(one), plots_of(one, compared));
        }
    }
    for (const CaseFacts& one : facts.cases) {
        if (!is_bench(one)) drawer.add(case_place(one), plots_of(one, false));
    }
    return drawer.take();
}

}  // namespace nsa::reports
