// The query tiles of a dense branch as a list that the thread blocks of a grid share: tiles with most keys
// first, all groups of one beside each other.
#pragma once

#include "nsa_core/cuda/prefill/query_tile.cuh"

namespace nsa::core::cuda {

struct QueryItem {
    Sequence tokens;
    Sequence keys;
    QueryTile tile;

    [[nodiscard]] __device__ bool sees_nothing() const { return tile.keys.first >= tile.keys.last; }
};

/// All tiles of `tile_tokens` tokens: `tiles` of the longest sequence, for each group of each sequence.
struct QueryTiles {
    int tile_tokens;
    int tiles;
    Divisor columns;  // groups and sequences
    Divisor groups;

    [[nodiscard]] constexpr std::int64_t all() const { return std::int64_t{tiles} * columns.divisor; }
};
[[nodiscard]] constexpr QueryTiles query_tiles(const PrefillShape& shape, int tile_tokens) {
    return {.tile_tokens = tile_tokens,
            .tiles = (shape.max_tokens - 1) / tile_tokens + 1,
            .columns = make_divisor(shape.groups * shape.batch),
            .groups = make_divisor(shape.groups)};
}

/// A thread block's share: of each round of the grid one tile, forth and back, so that shares are alike.
class QueryWalk {
  public:
    /// Of a DenseForward or DenseBackward.
    template <class Dense>
    __device__ QueryWalk(const Dense& p, const KeyInterval& interval, const QueryTiles& tiles)
        : sequences_{p.sequences}, branch_{p.branch}, interval_{interval}, tiles_{tiles} {}

    /// False: no tile is left. Tiles behind the end of their sequence are passed over.
    __device__ bool next(QueryItem& item) {
        const int grid = static_cast<int>(gridDim.x);
        const int block = static_cast<int>(blockIdx.x);
        for (;; ++round_) {
            const int index = round_ * grid + (round_ % 2 == 0 ? block : grid - 1 - block);
            if (index >= tiles_.all()) return false;
            const int row = tiles_.columns.quotient(index);
            const int column = index - row * static_cast<int>(tiles_.columns.divisor);
            const int sequence = tiles_.groups.quotient(column);
            item.tokens = tokens_of(sequences_, sequence);
            item.tile = query_tile_at(tiles_.tiles - 1 - row,
                                      column - sequence * static_cast<int>(tiles_.groups.divisor),
                                      tiles_.tile_tokens, item.tokens.length, interval_);
            if (item.tile.first_token > item.tile.last_token) continue;
            item.keys =
                branch_ == DenseBranch::kWindow ? item.tokens : compressed_rows_of(sequences_, sequence);
            ++round_;
            return true;
        }
    }

  private:
    const Sequences& sequences_;
    DenseBranch branch_;
    const KeyInterval& interval_;
    const QueryTiles& tiles_;
    int round_ = 0;
};

}  // namespace nsa::core::cuda
