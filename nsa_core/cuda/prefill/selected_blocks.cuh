// The blocks that the tokens of a thread block select between them, each once and ascending, with the tokens
// that selected it: adjacent tokens share many, and each is read once for all of them.
#pragma once

#include "nsa_core/cuda/prefill/selected_tile.cuh"

namespace nsa::core::cuda {

/// In shared memory.
class alignas(16) SharedBlocks {
  public:
    /// Merges the lists of the tile's tokens, by counting: a warp for each of the first kTileTokens, a lane
    /// for each slot. All threads of the thread block call it together; complete on return.
    __device__ void merge(const TokenTile& tile, const BlockLists<const int>& lists, int groups, int n) {
        const int warp = warp_index();
        const int lane = lane_index();
        const bool has_slot = warp < kTileTokens;
        const int block = has_slot ? load(tile, lists, groups, n, lane) : kNone;
        if (has_slot) listed_[warp][lane] = block;
        __syncthreads();
        std::uint32_t tokens = 0;
        if (block != kNone) {
            for_slots(listed_, n, [&](int token, int other) { tokens |= other == block ? 1U << token : 0U; });
        }
        // Lowest of the tokens that have it; in a list with the same block twice, the first one.
        const bool first = block != kNone && (tokens & ((1U << warp) - 1)) == 0 &&
                           (lane == 0 || listed_[warp][lane - 1] != block);
        if (has_slot) firsts_[warp][lane] = first ? block : kNone;
        size_ = __syncthreads_count(first ? 1 : 0);
        if (first) {
            int before = 0;
            for_slots(firsts_, n, [&](int /*token*/, int other) { before += other < block ? 1 : 0; });
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
    using Slots = int[kTileTokens][kMaxChosen];

    __device__ static int load(const TokenTile& tile, const BlockLists<const int>& lists, int groups, int n,
                               int slot) {
        const int token = tile.first + warp_index();
        if (token > tile.last()) return kNone;
        const std::int64_t list = tile.row(token) * groups + tile.group;
        return slot < lists.count[list] ? lists.blocks[list * n + slot] : kNone;
    }

    // Calls what(token, block) for the first n slots of each token, and up to three empty ones.
    template <class What>
    __device__ __forceinline__ static void for_slots(const Slots& slots, int n, What what) {
#pragma unroll 1  // code that runs once costs more by its length than by its loop
        for (int token = 0; token < kTileTokens; ++token) {
#pragma unroll 4
            for (int slot = 0; slot < n; slot += 4) {
                const int4 four = *reinterpret_cast<const int4*>(&slots[token][slot]);
                what(token, four.x);
                what(token, four.y);
                what(token, four.z);
                what(token, four.w);
            }
        }
    }

    union {
        Slots listed_;
        std::uint32_t merged_[kTileTokens * kMaxChosen];  // block and, below it, a bit for each token
    };
    Slots firsts_;
    int size_;
};

}  // namespace nsa::core::cuda
