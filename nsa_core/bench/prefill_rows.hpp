// From raw samples of attention over whole sequences to the rows of the table. Free of Torch and CUDA.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nsa_core/bench/prefill_floor.hpp"
#include "nsa_core/bench/sample_output.hpp"
#include "nsa_core/bench/validity.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/gpu_monitor.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

// Full attention that stands beside ours, where it runs: ms_PEER.
inline constexpr std::array kPrefillPeers{"cudnn", "fa2", "sdpa"};
// Adjacent tokens that share what they select: unique_blocks_N, unique blocks per reference to one.
inline constexpr std::array kTokensSharing{4, 8, 16, 64};

// What was measured of one pass at one length.
struct PrefillTimes {
    PrefillShape shape;
    Pass pass = Pass::kForward;
    TimeSeries series = {};                    // ms_total, the parts, and ms_PEER for what else ran
    std::vector<tools::GpuState> states = {};  // one for each sample of ms_total, where NVML gave them
    std::string why_no_monitor = {};
    unsigned max_sm_clock_mhz = 0;
    bool gpu = false;
    std::map<int, double> unique_blocks = {};           // by tokens that share
    double peak_memory_bytes = 0;                       // of the whole alone, inputs included
    std::map<std::string, std::string> not_there = {};  // peers that could not run, and why
};

// Medians with their 95 % intervals (NAME_low, NAME_high) and what follows from them, by column name. What
// was not measured is absent.
struct PrefillRow {
    std::map<std::string, double> numbers;
    RowValidity validity;
};

/// Beside the medians: ms_parts, the sum of the parts sample by sample; ms_residual, the total less that;
/// parts_gap_percent, how far the intervals of the two lie apart in percent of the total, 0 when they meet;
/// ms_floor and percent_of_floor of the whole and, with the part's name behind, of each part.
[[nodiscard]] PrefillRow summarise(const PrefillTimes& times, const Ceilings& ceilings);

// Writes results.jsonl, prefill.csv, prefill.json and a line on stdout for each row.
class PrefillReport {
  public:
    explicit PrefillReport(tools::Output& output);

    void add(const PrefillTimes& times, const PrefillRow& row);
    // Throws std::runtime_error, naming the file, when the JSON cannot be written.
    void finish() const;

  private:
    tools::Output& output_;
    std::vector<std::string> columns_;
    tools::CsvWriter csv_;
    std::vector<std::string> json_rows_;
};

}  // namespace nsa::core::bench
