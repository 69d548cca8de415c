// From raw samples of captured steps to the rows of the table. Free of Torch and CUDA.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/bench/floor.hpp"
#include "nsa_core/bench/validity.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/gpu_monitor.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::bench {

// What was measured at one length. Series are milliseconds by metric name: ms_total and ms_rest always;
// ms_step where caches are warm; ms_cmp, ms_sel and ms_win where branches were launched alone; ms_PEER and
// ms_step_PEER for what else ran.
struct GraphResult {
    std::int64_t seq = 0;
    std::int64_t batch = 1;
    std::map<std::string, std::vector<double>> series = {};
    std::vector<tools::GpuState> states = {};       // one for each sample of ms_total, where NVML gave them
    std::vector<tools::GpuState> step_states = {};  // and of ms_step, where those were taken apart
    std::string why_no_monitor = {};
    unsigned max_sm_clock_mhz = 0;
    Work work;
    Reads actual;  // counted by the kernels
    Reads expected;
    std::string plan;                                   // how the step was cut into thread blocks
    std::map<std::string, std::string> not_there = {};  // peers that could not run, and why
};

// Medians with their intervals (NAME_low, NAME_high) and what follows from them, by column name. What was not
// measured is absent. Valid when both are: single replays (ms_total), and those in a row (ms_step).
struct GraphRow {
    std::map<std::string, double> numbers;
    RowValidity validity;
};
[[nodiscard]] GraphRow summarise(const GraphResult& result, const Ceilings& ceilings);

// Writes results.jsonl, decode.csv, decode.json and a line on stdout for each length.
class GraphReport {
  public:
    explicit GraphReport(tools::Output& output);

    void add(const GraphResult& result, const GraphRow& row);
    // Throws std::runtime_error, naming the file, when the JSON cannot be written.
    void finish() const;

  private:
    tools::Output& output_;
    tools::CsvWriter csv_;
    std::vector<GraphRow> rows_;
};

}  // namespace nsa::core::bench
