// Keys read by a step, as metrics.
#pragma once

#include <string>

#include "nsa_core/geometry.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

// PREFIX_total, PREFIX_cmp, PREFIX_sel and PREFIX_win, in keys per sequence and KV group.
void write_reads(tools::Output& output, const tools::Labels& labels, const std::string& prefix,
                 const Reads& reads);

}  // namespace nsa::core::bench
