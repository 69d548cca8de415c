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

/// A thread block's share: of each round of the grid one tile, forth and back, so that shares are alike.
class QueryWalk {
  public:
    /// Of a DenseForward or DenseBackward.
    template <class Dense>
    __device__ QueryWalk(const Dense& p, const KeyInterval& interval, int tile_tokens)
        : shape_{p.shape},
          sequences_{p.sequences},
          branch_{p.branch},
          interval_{interval},
          tile_tokens_{tile_tokens},
          tiles_{(p.shape.max_tokens - 1) / tile_tokens + 1} {}

    /// False: no tile is left. Tiles behind the end of their sequence are passed over.
    __device__ bool next(QueryItem& item) {
        const int each = shape_.groups * shape_.batch;
        const int grid = static_cast<int>(gridDim.x);
        const int block = static_cast<int>(blockIdx.x);
        for (;; ++round_) {
            const int index = round_ * grid + (round_ % 2 == 0 ? block : grid - 1 - block);
            if (index >= tiles_ * each) return false;
            const int sequence = index % each / shape_.groups;
            item.tokens = tokens_of(sequences_, sequence);
            item.tile = query_tile_at(tiles_ - 1 - index / each, index % shape_.groups, tile_tokens_,
                                      item.tokens.length, interval_);
            if (item.tile.first_token > item.tile.last_token) continue;
            item.keys =
                branch_ == DenseBranch::kWindow ? item.tokens : compressed_rows_of(sequences_, sequence);
            ++round_;
            return true;
        }
    }

  private:
    const PrefillShape& shape_;
    const Sequences& sequences_;
    DenseBranch branch_;
    const KeyInterval& interval_;
    int tile_tokens_;
    int tiles_;
    int round_ = 0;
};

}  // namespace nsa::core::cuda
