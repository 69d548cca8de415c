// Raw samples of a row and what the chip did meanwhile, as metrics.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nsa_core/bench/validity.hpp"
#include "nsa_core/tools/gpu_monitor.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

using TimeSeries = std::map<std::string, std::vector<double>>;  // milliseconds by metric name

// Every sample with its index; of each state sm_clock, memory_clock, gpu_power, gpu_temperature and
// throttle_reasons (NVML's bits).
void write_samples(tools::Output& output, const tools::Labels& labels, const TimeSeries& series,
                   const std::vector<tools::GpuState>& states);

// Metrics `invalid` and `degraded` (0 or 1), facts `validity` and `validity_reason`.
void write_validity(tools::Output& output, const tools::Labels& labels, const RowValidity& row);

}  // namespace nsa::core::bench
