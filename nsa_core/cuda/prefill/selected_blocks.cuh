// The blocks that the tokens of a thread block select between them, each once and ascending, with the tokens
// that selected it: adjacent tokens share many, and each is read once for all of them.
#pragma once

#include "nsa_core/cuda/prefill/selected_tile.cuh"

namespace nsa::core::cuda {

/// In shared memory.
class SharedBlocks {
  public:
    static constexpr int kMost = kTileTokens * kMaxChosen;

    /// Merges the lists of the tile's tokens, by counting. All threads of the thread block, at least kMost of
    /// them, call it together; complete on return.
    __device__ void merge(const TokenTile& tile, const BlockLists<const int>& lists, int groups, int n) {
        const int entry = static_cast<int>(threadIdx.x);
        const int entries = kTileTokens * n;
        const int block = entry < entries ? load(tile, lists, groups, n, entry / n, entry % n) : kNone;
        if (entry < entries) listed_[entry] = block;
        __syncthreads();
        std::uint32_t tokens = 0;
        bool first = block != kNone;
        if (first) {
            for (int other = 0; other < entries; ++other) {
                if (listed_[other] != block) continue;
                tokens |= 1U << (other / n);
                first = first && other >= entry;
            }
        }
        if (entry < entries) firsts_[entry] = first ? block : kNone;
        size_ = __syncthreads_count(first ? 1 : 0);
        if (first) {
            int before = 0;
            for (int other = 0; other < entries; ++other)
                before += firsts_[other] < block ? 1 : 0;
            merged_[before] = (static_cast<std::uint32_t>(block) << kTileTokens) | tokens;
        }
        __syncthreads();
    }

    [[nodiscard]] __device__ int size() const { return size_; }
    [[nodiscard]] __device__ int block(int i) const { return static_cast<int>(merged_[i] >> kTileTokens); }
    [[nodiscard]] __device__ bool selected_by(int i, int token_of_tile) const {
        return (merged_[i] >> token_of_tile & 1U) != 0;
    }

  private:
    static constexpr int kNone = 0x7fffffff;

    __device__ static int load(const TokenTile& tile, const BlockLists<const int>& lists, int groups, int n,
                               int token_of_tile, int slot) {
        const int token = tile.first + token_of_tile;
        if (token > tile.last()) return kNone;
        const std::int64_t list = tile.row(token) * groups + tile.group;
        return slot < lists.count[list] ? lists.blocks[list * n + slot] : kNone;
    }

    union {
        int listed_[kMost];
        std::uint32_t merged_[kMost];  // block and, below it, a bit for each token
    };
    int firsts_[kMost];
    int size_;
};

}  // namespace nsa::core::cuda
