// Reads an experiment YAML (safe subset: no alias, anchor, tag, merge; depth <= 32, 10000 values,
// 512 KiB, lines of 16 KiB).
// The only user of yaml-cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "language/spec.hpp"

namespace nsa::language {

struct Diagnostic {
    int line = 0, column = 0;  // from 1
    std::string text;          // what is wrong
    std::string expected;      // what would be right
    std::string suggestion;    // nearest known word, may be empty
};

// "file:12:5: unknown key 'setps' in the experiment; expected one of ...; did you mean 'steps'?"
std::string describe(const Diagnostic& diagnostic, std::string_view file);

struct SpecReading {
    ExperimentSpec spec;                  // complete only when there are no diagnostics
    std::vector<Diagnostic> diagnostics;  // all of them, in order of place
};

SpecReading read_spec(std::string_view yaml, std::string_view file);

// First diagnostics joined into one Error of kind kInvalidSpec.
Result<ExperimentSpec> parse_spec(std::string_view yaml, std::string_view file);

// JSON Schema (draft 2020-12) of the language, pretty-printed.
std::string json_schema();

}  // namespace nsa::language
