// What an experiment may put into the environment of its steps.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace nsa::language {

struct EnvFault {
    std::string text;        // what is wrong
    std::string expected;    // what would be right
    std::string suggestion;  // nearest known flag
};

// NSA_ names must be known flags with a value they understand. Names that change which code runs (PATH, LD_*,
// PYTHON*, BASH_ENV, ...) and those that the worker sets are refused.
std::optional<EnvFault> env_fault(std::string_view name, std::string_view value);

// Flags that contradict one another.
std::optional<EnvFault> env_fault(const std::map<std::string, std::string>& env);

}  // namespace nsa::language
