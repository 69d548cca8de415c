// What the prefill kernels run. Apart from the launches, so that a build without nvcc can say it too.
#include <algorithm>
#include <array>
#include <limits>

#include "nsa_core/cuda/prefill/plan.hpp"
#include "nsa_core/cuda/prefill/widths.hpp"

namespace nsa::core::cuda {
namespace {

constexpr std::array kHeadsPerGroup{1, 2, 4, 8, 16};
constexpr int kMaxBatch = 65535;     // thread blocks along y of a grid
constexpr int kQueryTileRows = 128;  // queries of a group that a warpgroup kernel takes at a time
constexpr std::int64_t kMostTiles = std::int64_t{1} << 30;  // so that a round of the grid more fits 32 bits

}  // namespace

std::optional<std::string> heads_unsupported(const PrefillShape& s) {
    if (widths_holding(s.dk, s.dv) != HeadWidths{.dk = s.dk, .dv = s.dv}) {
        return "heads with dk = dv of 32, 64, 96 or 128, or dk = 192 with dv = 128, and these are " +
               std::to_string(s.dk) + " and " + std::to_string(s.dv);
    }
    const int per_group = s.groups < 1 || s.heads % s.groups != 0 ? 0 : s.heads_per_group();
    if (std::find(kHeadsPerGroup.begin(), kHeadsPerGroup.end(), per_group) == kHeadsPerGroup.end()) {
        return "1, 2, 4, 8 or 16 heads in a group, and H = " + std::to_string(s.heads) +
               " with G = " + std::to_string(s.groups) + " is none of them";
    }
    if (s.batch < 1 || s.batch > kMaxBatch) {
        return "1 to " + std::to_string(kMaxBatch) + " sequences, and these are " + std::to_string(s.batch);
    }
    return std::nullopt;
}

std::optional<std::string> prefill_unsupported(const PrefillShape& s) {
    const std::string takes = "the prefill kernels take ";
    if (const auto reason = heads_unsupported(s)) return takes + *reason;
    if (s.l < 1 || s.d < 1 || s.w < 1) {
        return takes + "l, d and w from 1 up, and these are " + std::to_string(s.l) + ", " +
               std::to_string(s.d) + " and " + std::to_string(s.w);
    }
    // Rows of a sequence are counted in 32 bits: of all groups' keys, and of one group's queries.
    if (std::int64_t{s.max_tokens} * std::max(s.groups, s.heads_per_group()) >
        std::numeric_limits<int>::max()) {
        return takes + "up to 2^31 - 1 rows in a sequence, and S = " + std::to_string(s.max_tokens) +
               " with H = " + std::to_string(s.heads) + " and G = " + std::to_string(s.groups) + " are more";
    }
    // Warpgroups count the tiles of queries, those of the longest sequence for each sequence and group.
    const std::int64_t tiles =
        std::int64_t{(s.max_tokens - 1) / (kQueryTileRows / s.heads_per_group()) + 1} * s.groups * s.batch;
    if (tiles > kMostTiles) {
        return takes + "up to 2^30 tiles of " + std::to_string(kQueryTileRows) +
               " rows, those of the longest sequence for each sequence and group; " +
               std::to_string(s.batch) + " sequences of up to " + std::to_string(s.max_tokens) +
               " tokens have " + std::to_string(tiles);
    }
    return std::nullopt;
}

}  // namespace nsa::core::cuda
