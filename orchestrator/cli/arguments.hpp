// From argv to an Invocation. The only user of CLI11 in this box.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/invocation.hpp"

namespace nsa::cli {

struct Parsed {
    std::optional<Invocation> invocation;
    // When there is none: help that was asked for (code 0, on out), or what is wrong (code 2, on err).
    int exit_code = 0;
    std::string out, err;
};

// Without the program's name.
Parsed parse_arguments(std::vector<std::string> arguments);

}  // namespace nsa::cli
