// nsa-core probe: what this host offers, as JSON on stdout and as facts.
#pragma once

#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::tools {

struct ProbeOptions {};

void add_flags(FlagTable& table, ProbeOptions& options);
[[nodiscard]] Outcome run(const ProbeOptions& options, Output& output);

// One line for a person: version of the program, of Torch and of CUDA.
[[nodiscard]] std::string version_line();

}  // namespace nsa::core::tools
