// Plots of one case, or of several side by side: values only. Private to this box.
#pragma once

#include <vector>

#include "reports/facts.hpp"
#include "reports/repeated.hpp"
#include "reports/svg_plot.hpp"

namespace nsa::reports {

// ms_total over S with its floor and the peers; one plot for each set of the other labels ("pass").
std::vector<Plot> length_plots(const CaseFacts& one);
// ms_total over S of several cases, a line each; one plot for each set of the other labels. None when there
// are fewer than two cases, or more than can be told apart.
std::vector<Plot> comparison_plots(const std::vector<const CaseFacts*>& cases);
// Any other metric whose rows differ by a label that is a number, over that label; the other labels make the
// lines.
std::vector<Plot> label_plots(const CaseFacts& one);
// Losses by step.
std::vector<Plot> loss_plots(const CaseFacts& one);
// Medians of ms_total by repetition, relative to their own median: what drifts shows, whatever the length. A
// line for each row.
std::vector<Plot> repetition_plots(const Repeated& repeated);

}  // namespace nsa::reports
