// Repetitions of one case, put together again. Private to this box.
#pragma once

#include <string>
#include <vector>

#include "reports/facts.hpp"

namespace nsa::reports {

struct Repeated {
    std::string name;                     // the case without its repetition
    std::vector<const CaseFacts*> cases;  // in order of execution
};

// In order of their first case. In a plan that repeats nothing every case stands alone.
std::vector<Repeated> repeated_cases(const RunFacts& facts);

}  // namespace nsa::reports
