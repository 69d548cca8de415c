#include "reports/repeated.hpp"

#include <algorithm>

#include "language/repeat.hpp"
#include "language/text.hpp"

namespace nsa::reports {

namespace {

std::string name_without_repetition(const language::PlannedCase& planned) {
    language::Labels labels = planned.matrix;
    labels.erase(std::string(language::kRepeatKey));
    const std::string point = language::format_labels(labels);
    return planned.step + (point.empty() ? "" : " (" + point + ")");
}

}  // namespace

std::vector<Repeated> repeated_cases(const RunFacts& facts) {
    std::vector<Repeated> all;
    for (const CaseFacts& one : facts.cases) {
        const std::string name = name_without_repetition(one.planned);
        auto known =
            std::find_if(all.begin(), all.end(), [&](const Repeated& other) { return other.name == name; });
        if (known == all.end()) known = all.insert(all.end(), {name, {}});
        known->cases.push_back(&one);
    }
    return all;
}

}  // namespace nsa::reports
