// Counting of blocks and reads: integer functions of position and configuration.
#pragma once

#include <cstdint>

#include "nsa_core/config.hpp"

namespace nsa::core {

/// Compressed tokens that a prefix of `length` tokens holds; also what query t sees, with length = t + 1.
/// Written as a case because dividing a negative number would truncate to a visible token too many.
[[nodiscard]] constexpr std::int64_t compressed_count(std::int64_t length, const NsaConfig& config) {
    return length < config.l ? 0 : (length - config.l) / config.d + 1;
}

/// Selection blocks that begin within a prefix of `length` tokens.
[[nodiscard]] constexpr std::int64_t block_count(std::int64_t length, const NsaConfig& config) {
    return (length + config.l_sel - 1) / config.l_sel;
}

/// Blocks that a query at the end of a prefix of `length` tokens selects.
[[nodiscard]] constexpr std::int64_t selected_block_count(std::int64_t length, const NsaConfig& config) {
    const std::int64_t blocks = block_count(length, config);
    return blocks < config.n ? blocks : config.n;
}

/// Tokens shared by compressed token i = [i d, i d + l) and selection block j = [j l', (j+1) l'), in units of
/// d: the weight of p_cmp[i] in p_slc[j]. Eq. 9 counts the same pairs (m, n) one by one.
[[nodiscard]] std::int64_t overlap_weight(std::int64_t i, std::int64_t j, const NsaConfig& config);

/// Keys read per KV group in one step, by branch.
struct Reads {
    std::int64_t cmp = 0;
    std::int64_t sel = 0;
    std::int64_t win = 0;

    bool operator==(const Reads&) const = default;
    [[nodiscard]] std::int64_t total() const { return cmp + sel + win; }
};

/// What the step that produces token t must read: n_cmp(t) + min(selected tokens, t+1) + min(w, t+1). The
/// block of the query itself is always selected (n_local >= 1) and holds only the tokens up to t, so the
/// selected tokens are whole blocks plus that remainder.
[[nodiscard]] Reads expected_reads(std::int64_t t, const NsaConfig& config);

}  // namespace nsa::core
