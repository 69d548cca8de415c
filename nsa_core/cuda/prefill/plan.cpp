#include "nsa_core/cuda/prefill/plan.hpp"

#include <algorithm>

namespace nsa::core::cuda {
namespace {

constexpr int kTileKeysOfItem = 64;
constexpr int kStepRows = 64;
constexpr int kBlocksPerSm = 2;           // thread blocks that fit: registers decide
constexpr int kFewestShares = 12;         // of compressed keys, whose shares are of unlike length
constexpr int kMostSplits = 32;           // each costs its partials twice: written, and read again
constexpr std::int64_t kFewestSteps = 4;  // of a share: the tile's loads and stores cost about one

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

}  // namespace

DensePlan plan_dense_backward(const PrefillShape& shape, DenseBranch branch, const DeviceLimits& device) {
    const bool window = branch == DenseBranch::kWindow;
    const std::int64_t keys = window ? shape.max_tokens : shape.compressed_of(shape.max_tokens);
    const std::int64_t tiles = divide_up(keys, kTileKeysOfItem) * shape.groups * shape.batch;
    if (tiles == 0) return {};
    // Tiles of a window are alike: fill the device. Shares of compressed tiles are of the same tokens, which
    // half of the tiles do not see: more of them.
    const std::int64_t wanted = std::int64_t{kBlocksPerSm} * device.multiprocessors * (window ? 2 : 3) / 2;
    const std::int64_t tokens =
        window ? std::min<std::int64_t>(shape.max_tokens, std::int64_t{shape.w} + kTileKeysOfItem - 1)
               : shape.max_tokens;
    const std::int64_t steps = divide_up(tokens * shape.heads_per_group(), kStepRows);
    const std::int64_t finest = std::clamp<std::int64_t>(steps / kFewestSteps, 1, kMostSplits);
    const std::int64_t shares =
        window ? divide_up(wanted, tiles) : std::max<std::int64_t>(wanted / tiles, kFewestShares);
    return {.splits = static_cast<int>(std::clamp<std::int64_t>(shares, 1, finest))};
}

std::size_t dense_partials(const PrefillShape& shape, DenseBranch branch, const DensePlan& plan) {
    if (plan.splits == 1) return 0;
    return static_cast<std::size_t>(plan.splits) * static_cast<std::size_t>(key_rows(shape, branch)) *
           static_cast<std::size_t>(shape.groups) * static_cast<std::size_t>(shape.dk + shape.dv);
}

}  // namespace nsa::core::cuda
