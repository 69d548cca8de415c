// How a layer's gates stand: the numbers that tell whether all three branches are in use. Free of Torch; the
// one place where they are defined, for train-smoke and gate-health alike.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "nsa_core/tools/output.hpp"

namespace nsa::core::gates {

inline constexpr double kLow = 0.01;      // a gate below is shut ...
inline constexpr double kHigh = 0.99;     // ... and above it is open: where a sigmoid hardly learns any more
inline constexpr double kTakesAll = 0.9;  // a branch with a larger share of its gates takes all
inline constexpr double kLeastEntropy = 0.2;  // below, or with more than ...
inline constexpr double kMostTakenAll =
    0.5;  // ... of the decisions taken by one branch, the gates have collapsed

// Over many decisions, one for each token and head. The share of a branch is its gate over the sum of the
// three.
struct Statistics {
    std::array<double, 3> mean{};  // of the gate itself, by Branch
    std::array<double, 3> low{};   // part of the decisions with the gate below kLow
    std::array<double, 3> high{};  // ... above kHigh
    double entropy = 0;    // of the shares, in units of ln 3: 1 when all are equal, 0 when one takes all
    double taken_all = 0;  // part of the decisions in which one share is above kTakesAll

    // NaN anywhere counts as collapse.
    [[nodiscard]] bool collapsed() const;
};

// Mean over parts of equally many decisions, layers say. Throws std::invalid_argument when there are none.
[[nodiscard]] Statistics mean_of(std::span<const Statistics> parts);

// gate_mean, gate_low and gate_high by branch; gate_entropy, gate_taken_all, gate_collapsed (1 or 0).
void write(tools::Output& output, const Statistics& statistics, const tools::Labels& labels,
           std::int64_t sample);

}  // namespace nsa::core::gates
