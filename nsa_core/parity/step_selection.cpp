#include "nsa_core/parity/step_selection.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

namespace nsa::core::parity {
namespace {

// An importance below it is 0 in fp32, where the smallest exponentials vanish.
constexpr double kVanishing = 1e-36;

// Ascending blocks that exist, then only -1.
bool well_formed(const std::vector<std::int64_t>& chosen, std::size_t count, std::size_t blocks) {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        if (i >= count) {
            if (chosen[i] != -1) return false;
        } else if (chosen[i] < 0 || chosen[i] >= static_cast<std::int64_t>(blocks) ||
                   (i > 0 && chosen[i] <= chosen[i - 1])) {
            return false;
        }
    }
    return chosen.size() >= count;
}

}  // namespace

Selection judge_selection(const std::vector<double>& importance, const std::vector<std::int64_t>& expected,
                          const std::vector<std::int64_t>& chosen, double relative) {
    std::set<std::int64_t> wanted{expected.begin(), expected.end()};
    wanted.erase(-1);
    if (!well_formed(chosen, wanted.size(), importance.size())) return Selection::kFault;
    std::set<std::int64_t> got{chosen.begin(), chosen.end()};
    got.erase(-1);
    if (got == wanted) return Selection::kEqual;
    std::vector<double> left_out;
    std::vector<double> instead;
    for (std::size_t j = 0; j < importance.size(); ++j) {
        const auto block = static_cast<std::int64_t>(j);
        if (wanted.contains(block) && !got.contains(block)) left_out.push_back(importance[j]);
        if (got.contains(block) && !wanted.contains(block)) instead.push_back(importance[j]);
    }
    // The gap of the worst exchange: the most important block that is missing for the least important that
    // came.
    const double best = *std::ranges::max_element(left_out);
    const double worst = *std::ranges::min_element(instead);
    const double allowed = relative * best + (relative > 0 ? kVanishing : 0);
    return std::abs(best - worst) <= allowed && relative > 0 ? Selection::kTie : Selection::kFault;
}

}  // namespace nsa::core::parity
