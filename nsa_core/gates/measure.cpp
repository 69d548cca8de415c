#include "nsa_core/gates/measure.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace nsa::core::gates {

Statistics statistics_of(const at::Tensor& gates) {
    const c10::NoGradGuard no_grad;
    const at::Tensor rows =
        gates.detach().reshape({-1, 3}).to(gates.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    const at::Tensor total = rows.sum(1, true);
    // Three shut gates share nothing: no branch is in use, which counts as one that takes all.
    const at::Tensor shut = total.le(0);
    const at::Tensor shares = rows / total.masked_fill(shut, 1);
    const at::Tensor entropy = at::xlogy(shares, shares).sum(1).neg() / std::log(3.0);
    const at::Tensor taken_all = std::get<0>(shares.max(1)).gt(kTakesAll).logical_or(shut.squeeze(1));
    const auto type = rows.scalar_type();
    const at::Tensor all =
        at::cat({rows.mean(0), rows.lt(kLow).to(type).mean(0), rows.gt(kHigh).to(type).mean(0),
                 entropy.mean().unsqueeze(0), taken_all.to(type).mean().unsqueeze(0)})
            .to(at::kCPU, at::kDouble);
    const double* value = all.const_data_ptr<double>();
    Statistics statistics;
    for (std::size_t branch = 0; branch < 3; ++branch) {
        statistics.mean[branch] = value[branch];
        statistics.low[branch] = value[3 + branch];
        statistics.high[branch] = value[6 + branch];
    }
    statistics.entropy = value[9];
    statistics.taken_all = value[10];
    return statistics;
}

}  // namespace nsa::core::gates
