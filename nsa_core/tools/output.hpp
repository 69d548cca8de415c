// Where a subcommand puts what it found.
#pragma once

#include <filesystem>

#include "nsa_core/tools/results.hpp"

namespace nsa::core::tools {

struct Output {
    ResultsWriter results;
    std::filesystem::path artifacts;  // an existing folder for CSV files
};

}  // namespace nsa::core::tools
