// The blocks that the tokens of a thread block select between them, each once, with the tokens that selected
// it: adjacent tokens share many, and each is read once for all of them.
//
// Each stands with the first token that has it, and those of one token lie evenly over the whole walk, as far
// apart as they can: a ring that holds three of one warp's at a time waits for that warp. (With ascending
// blocks a stage took 1,110 clocks of an H200 at S = 65536, with those of the same rank side by side 980, and
// the L2 gives one in 850.) Walked from the last to the first.
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
            for_slots(n, [&](int token, int other) { tokens |= other == block ? 1U << token : 0U; });
        }
        // Lowest of the tokens that have it; in a list with the same block twice, the first one.
        const bool first = block != kNone && (tokens & ((1U << warp) - 1)) == 0 &&
                           (lane == 0 || listed_[warp][lane - 1] != block);
        const unsigned firsts = __ballot_sync(0xffffffffU, first ? 1 : 0);
        if (has_slot && lane == 0) first_of_[warp] = __popc(firsts);
        const int size = __syncthreads_count(first ? 1 : 0);
        size_ = size;
        if (first) {
            const int place = place_of(warp, __popc(firsts & ((1U << lane) - 1)));
            merged_[size - 1 - place] = (static_cast<std::uint32_t>(block) << kTileTokens) | tokens;
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
                               int slot) {
        const int token = tile.first + warp_index();
        if (token > tile.last()) return kNone;
        const std::int64_t list = tile.row(token) * groups + tile.group;
        const int count = lists.count[list];  // both on their way at once
        const int block = slot < n ? lists.blocks[list * n + slot] : kNone;
        return slot < count ? block : kNone;
    }

    // How many come before block `rank` of those that `token` has first. Block r of a token that has c of
    // them first stands at (r + (token + 1/2) / kTileTokens) / c of the walk; where two stand at one place,
    // the lower token's is first.
    __device__ __forceinline__ int place_of(int token, int rank) const {
        constexpr int kUnit = 2 * kTileTokens;
        const int count = first_of_[token];
        const int at = kUnit * rank + 2 * token + 1;
        const float per_block = 1.0F / static_cast<float>(kUnit * count);
        int place = 0;
#pragma unroll
        for (int other = 0; other < kTileTokens; ++other) {
            const int room = at * first_of_[other] - (2 * other + 1) * count;  // kUnit r count is below it
            const int sum = room + kUnit * count - (other < token ? 0 : 1);
            place += static_cast<int>((static_cast<float>(sum) + 0.5F) * per_block);  // sum / (kUnit count)
        }
        return place;
    }

    // Calls what(token, block) for the first n slots of each token, and up to three empty ones.
    template <class What>
    __device__ __forceinline__ void for_slots(int n, What what) const {
#pragma unroll 1  // code that runs once costs more by its length than by its loop
        for (int token = 0; token < kTileTokens; ++token) {
#pragma unroll 4
            for (int slot = 0; slot < n; slot += 4) {
                const int4 four = *reinterpret_cast<const int4*>(&listed_[token][slot]);
                what(token, four.x);
                what(token, four.y);
                what(token, four.z);
                what(token, four.w);
            }
        }
    }

    union {
        int listed_[kTileTokens][kMaxChosen];
        std::uint32_t merged_[kTileTokens * kMaxChosen];  // block and, below it, a bit for each token
    };
    int first_of_[kTileTokens];  // how many blocks each token has first
    int size_;
};

}  // namespace nsa::core::cuda
