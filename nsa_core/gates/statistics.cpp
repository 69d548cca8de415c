#include "nsa_core/gates/statistics.hpp"

#include <stdexcept>

#include "nsa_core/routes.hpp"

namespace nsa::core::gates {

bool Statistics::collapsed() const {
    // Written so that NaN, which fails every comparison, is a collapse.
    return !(entropy >= kLeastEntropy && taken_all <= kMostTakenAll);
}

Statistics mean_of(std::span<const Statistics> parts) {
    if (parts.empty()) throw std::invalid_argument{"no gates to summarise"};
    Statistics sum;
    const auto count = static_cast<double>(parts.size());
    for (const Statistics& part : parts) {
        for (std::size_t branch = 0; branch < sum.mean.size(); ++branch) {
            sum.mean[branch] += part.mean[branch] / count;
            sum.low[branch] += part.low[branch] / count;
            sum.high[branch] += part.high[branch] / count;
        }
        sum.entropy += part.entropy / count;
        sum.taken_all += part.taken_all / count;
    }
    return sum;
}

void write(tools::Output& output, const Statistics& statistics, const tools::Labels& labels,
           std::int64_t sample) {
    const auto metric = [&](const char* name, double value, const tools::Labels& row) {
        output.results.write(
            tools::Metric{.name = name, .value = value, .unit = "1", .labels = row, .sample = sample});
    };
    for (const Branch branch : kBranches) {
        tools::Labels row = labels;
        row.emplace_back("branch", name(branch));
        const auto index = static_cast<std::size_t>(branch);
        metric("gate_mean", statistics.mean[index], row);
        metric("gate_low", statistics.low[index], row);
        metric("gate_high", statistics.high[index], row);
    }
    metric("gate_entropy", statistics.entropy, labels);
    metric("gate_taken_all", statistics.taken_all, labels);
    metric("gate_collapsed", statistics.collapsed() ? 1 : 0, labels);
}

}  // namespace nsa::core::gates
