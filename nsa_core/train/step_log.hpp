// What a training run writes: metrics and a CSV row as each step ends, a JSON file of them all at the end.
// Free of Torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsa_core/gates/statistics.hpp"
#include "nsa_core/tools/csv.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::train {

struct LoggedStep {
    double loss = 0;       // nats per byte
    double grad_norm = 0;  // L2 over all parameters
    double step_ms = 0;
    double tokens_per_s = 0;
    bool overflowed = false;  // fp16: not applied
    gates::Statistics gates;  // before the update, over all layers
};

class StepLog {
  public:
    explicit StepLog(tools::Output& output);

    void add(const LoggedStep& step);
    // training.json: the curves, one array each, and `facts` as texts.
    void finish(const std::vector<std::pair<std::string, std::string>>& facts);
    [[nodiscard]] const std::vector<LoggedStep>& steps() const { return steps_; }

  private:
    tools::Output& output_;
    tools::CsvWriter csv_;
    std::vector<LoggedStep> steps_;
};

// How far two losses lie apart, as a part of `other`. NaN when either is not finite or `other` is not
// positive.
[[nodiscard]] double loss_gap(double loss, double other);

// loss_compared and loss_gap of every step of `compared`, beside those that were logged; compared.csv.
void write_comparison(tools::Output& output, const std::vector<LoggedStep>& steps,
                      const std::vector<double>& compared);

}  // namespace nsa::core::train
