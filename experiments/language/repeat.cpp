#include "language/repeat.hpp"

namespace nsa::language {

std::vector<Repetition> repetitions(const Repeat& repeat) {
    if (!repeat.is_asked()) return {Repetition{}};
    std::vector<Repetition> all;
    for (int i = 1; i <= repeat.warmup; ++i)
        all.push_back({"w" + std::to_string(i), true});
    for (int i = 1; i <= repeat.n; ++i)
        all.push_back({std::to_string(i), false});
    return all;
}

MatrixPoint at_repetition(MatrixPoint point, const Repetition& repetition) {
    if (!repetition.name.empty()) point.emplace(kRepeatKey, repetition.name);
    return point;
}

}  // namespace nsa::language
