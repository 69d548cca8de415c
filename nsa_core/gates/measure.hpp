// Statistics of gates as a layer computes them.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/gates/statistics.hpp"

namespace nsa::core::gates {

// gates [..., 3] in the order cmp, sel, win, of any device and dtype; waits for the device once.
[[nodiscard]] Statistics statistics_of(const at::Tensor& gates);

}  // namespace nsa::core::gates
