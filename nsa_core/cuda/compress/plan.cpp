#include "nsa_core/cuda/compress/plan.hpp"

#include <algorithm>
#include <limits>

namespace nsa::core::cuda {
namespace {

constexpr std::int64_t kTileEdge = 64;    // kTile of product.cuh
constexpr int kPieceElements = 8;         // of 16 bytes
constexpr int kBlocksPerSm = 4;           // thread blocks that fit: shared memory decides
constexpr int kMostSplits = 32;           // each costs its parts twice: written, and read again
constexpr std::int64_t kFewestSteps = 4;  // of a share
constexpr std::int64_t kMostRows = std::numeric_limits<int>::max();

constexpr std::int64_t tiles_of(std::int64_t elements) {
    return (elements + kTileEdge - 1) / kTileEdge;
}

}  // namespace

std::optional<std::string> compress_unsupported(const PrefillShape& s, std::int64_t hidden) {
    const std::string takes = "the kernels of learnable compression take ";
    if (s.dk < 1 || s.dv < 1 || s.dk % kPieceElements != 0 || s.dv % kPieceElements != 0 || hidden < 1 ||
        hidden % kPieceElements != 0) {
        return takes +
               "dk, dv and phi_hidden in multiples of 8, for rows are read by pieces of 16 bytes; these "
               "are " +
               std::to_string(s.dk) + ", " + std::to_string(s.dv) + " and " + std::to_string(hidden);
    }
    if (s.l < 1 || s.d < 1 || s.groups < 1 || s.batch < 1) {
        return takes + "l, d, groups and sequences from 1 up, and these are " + std::to_string(s.l) + ", " +
               std::to_string(s.d) + ", " + std::to_string(s.groups) + " and " + std::to_string(s.batch);
    }
    const std::int64_t block = std::int64_t{s.l} * std::max(s.dk, s.dv);
    if (hidden_rows(s) > kMostRows || block * hidden > kMostRows) {
        return takes + "up to 2^31 - 1 rows and weights of one matrix, and these are " +
               std::to_string(hidden_rows(s)) + " and " + std::to_string(block * hidden);
    }
    return std::nullopt;
}

CompressPlan plan_compress_backward(const PrefillShape& s, int hidden, const DeviceLimits& device) {
    std::int64_t tiles = 0;
    for (int side = 0; side < kSides; ++side) {
        const std::int64_t width = side_width(s, side);
        tiles += tiles_of(hidden) * (tiles_of(s.l * width) + tiles_of(width));
    }
    const std::int64_t wanted = std::int64_t{kBlocksPerSm} * device.multiprocessors;
    const std::int64_t finest =
        std::clamp<std::int64_t>(tiles_of(hidden_rows(s)) / kFewestSteps, 1, kMostSplits);
    return {.splits = static_cast<int>(
                std::clamp<std::int64_t>(wanted / std::max<std::int64_t>(tiles, 1), 1, finest))};
}

std::size_t compress_parts(const PrefillShape& s, int hidden, int side, const CompressPlan& plan) {
    const int width = side_width(s, side);
    return static_cast<std::size_t>(plan.splits) *
           static_cast<std::size_t>(parts_layout(hidden, s.l * width, width).all);
}

}  // namespace nsa::core::cuda
