// Are the blocks that a candidate chose as good as the oracle's? Free of Torch.
#pragma once

#include <cstdint>
#include <vector>

namespace nsa::core::parity {

// How the oracle judges a set of chosen blocks of one group. `importance` is the oracle's, of the blocks
// that exist; `chosen` ascending with -1 behind; `relative` is the rounding of importance that is allowed
// for.
enum class Selection { kEqual, kTie, kFault };
[[nodiscard]] Selection judge_selection(const std::vector<double>& importance,
                                        const std::vector<std::int64_t>& expected,
                                        const std::vector<std::int64_t>& chosen, double relative);

}  // namespace nsa::core::parity
