// Repetitions of the cases: a dimension beside the matrix, so that each repetition is a case with its own
// key, folder, records and verdict: "bench[S=512,repeat=2]"; warm-ups are "repeat=w1".
#pragma once

#include <string_view>
#include <vector>

#include "language/matrix.hpp"
#include "language/spec.hpp"

namespace nsa::language {

inline constexpr std::string_view kRepeatKey = "repeat";

struct Repetition {
    std::string name;  // "w1", "1"; empty: nothing is repeated
    bool warmup = false;

    bool operator==(const Repetition&) const = default;
};

// In order of execution, warm-ups first. One without a name when nothing is to be repeated.
std::vector<Repetition> repetitions(const Repeat& repeat);

// The point with the repetition's name as one more coordinate.
MatrixPoint at_repetition(MatrixPoint point, const Repetition& repetition);

}  // namespace nsa::language
