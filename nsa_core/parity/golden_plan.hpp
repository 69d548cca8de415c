// What a golden file and --dump make of the options of a parity run. Pure.
#pragma once

#include "nsa_core/golden/schema.hpp"
#include "nsa_core/parity/parity.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core::parity {

// The tensor of a golden file that holds the subject's output: "sliding", ..., "out".
[[nodiscard]] std::string output_name(Subject subject);

// That holds the gradient of the output in an input: "sliding.d_q" of "q", "d_weight.wq" of "weight.wq".
[[nodiscard]] std::string gradient_name(Subject subject, const std::string& input);

// Throws InputError when --golden or --dump do not go with the other flags, before any file is opened.
void check_files(const ParityOptions& options, const RoutePolicy& policy);

// The options with shape and configuration of the file and, unless the flags were given, its dtype and
// gradients where it holds those of the subject. Throws InputError when the file has not what the subject
// needs.
[[nodiscard]] ParityOptions options_of(ParityOptions asked, const golden::Golden& golden);

}  // namespace nsa::core::parity
