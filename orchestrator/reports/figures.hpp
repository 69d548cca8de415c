// Which series of a run are drawn, and where the drawings stand. Private to this box.
#pragma once

#include <string>
#include <vector>

#include "reports/facts.hpp"
#include "reports/svg_plot.hpp"

namespace nsa::reports {

struct Figure {
    std::string place;  // of case_place, kind_place or repeats_place
    std::string path;   // below the report's folder: "plots/1.svg"
    Plot plot;
    std::string note;  // what its points and bars are
    std::string svg;
};

std::string case_place(const CaseFacts& one);
std::string kind_place(std::string_view kind);
std::string repeats_place(std::string_view name);

// Benches first, then the other cases in their order; at most 60. In a repeated plan: the repetitions alone.
std::vector<Figure> figures_of(const RunFacts& facts);

}  // namespace nsa::reports
