// Step kinds: a kind turns a step's params into argv, default checks and expectations.
// A new kind is one file under kinds/ and one line in kinds/registry.cpp.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "language/plan.hpp"

namespace nsa::language {

enum class ParamType { kBool, kInt, kNumber, kText, kIntList, kWordList };

struct ParamSchema {
    std::string_view name;
    ParamType type;
    std::string_view fallback;  // as text; empty: none
    bool required = false;
    std::string_view one_of;  // "a|b|c", empty: free; of a kWordList: of each word
    std::string_view help;
    std::int64_t least = 0;  // of a kInt, and of each number of a kIntList
    std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

class StepKind {
  public:
    virtual ~StepKind() = default;
    virtual std::string_view name() const = 0;
    virtual std::string_view help() const = 0;
    virtual std::span<const ParamSchema> params() const = 0;
    // The case arrives with key, env, timeout, the author's checks; params are validated and complete.
    // Fills argv, default checks that the author did not override, expectations, flags of the case.
    virtual Result<void> fill(const Step& step, PlannedCase& planned) const = 0;
};

std::span<const StepKind* const> step_kinds();          // all, sorted by name
const StepKind* find_step_kind(std::string_view name);  // null: unknown

}  // namespace nsa::language
