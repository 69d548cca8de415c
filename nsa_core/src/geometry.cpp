#include "nsa_core/geometry.hpp"

#include <algorithm>

namespace nsa::core {

std::int64_t overlap_weight(std::int64_t i, std::int64_t j, const NsaConfig& c) {
    const std::int64_t begin = std::max(i * c.d, j * c.l_sel);
    const std::int64_t end = std::min(i * c.d + c.l, (j + 1) * c.l_sel);
    // d divides l and l', so all four bounds are multiples of d and the division is exact.
    return std::max<std::int64_t>(end - begin, 0) / c.d;
}

Reads expected_reads(std::int64_t t, const NsaConfig& c) {
    const std::int64_t length = t + 1;
    const std::int64_t own_block_tokens = t % c.l_sel + 1;
    const std::int64_t selected = (selected_block_count(length, c) - 1) * c.l_sel + own_block_tokens;
    return {
        .cmp = compressed_count(length, c), .sel = std::min(selected, length), .win = std::min(c.w, length)};
}

}  // namespace nsa::core
