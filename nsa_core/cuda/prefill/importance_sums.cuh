// From the probabilities of 64 compressed tokens to the importance of selection blocks (Eqs. 9 and 10),
// inside one warp. Every block's importance comes from the same additions in the same order, wherever it
// lies: equal scores give exactly equal importance.
//
// Keys lie in their tile in an order that gives each lane 16 compressed tokens in a row: a lane sums whole
// blocks by itself, and what is then added over the rows is a block, not a compressed token.
#pragma once

#include "nsa_core/cuda/prefill/selected_tile.cuh"

namespace nsa::core::cuda {

inline constexpr int kLaneTokens = kCompressedTile / 4;   // of the four lanes that share a row
using TileProbabilities = float[kCompressedTile / 8][4];  // lane layout of `mma`

/// The compressed token of a tile that row `row` of its keys holds: lane i has columns 8 k + 2 (i % 4) and
/// the next of a row of scores, and these are the tokens from 16 (i % 4) on.
__device__ __forceinline__ constexpr int token_of_key_row(int row) {
    return row % 8 / 2 * kLaneTokens + row / 8 * 2 + row % 2;
}

/// Scores become exp2(score - log2 sum), and 0 from compressed token `visible` of the tile on, which the
/// lane's two rows have of their own. A head that is not there has no share.
__device__ __forceinline__ void make_probabilities(TileProbabilities& s, float log2_scale,
                                                   const float (&log2_sum)[2], const int (&visible)[2]) {
#pragma unroll
    for (int tile = 0; tile < kCompressedTile / 8; ++tile)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            s[tile][i] = exp2_fast(fmaf(s[tile][i], log2_scale, -log2_sum[i / 2]));
    if (min(visible[0], visible[1]) >= kCompressedTile) return;
#pragma unroll
    for (int tile = 0; tile < kCompressedTile / 8; ++tile)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (lane_index() % 4 * kLaneTokens + tile * 2 + i % 2 >= visible[i / 2]) s[tile][i] = 0.0F;
}

/// The lane's tokens of one of its two rows, or of both, added.
template <bool kBoth>
__device__ __forceinline__ void lane_tokens(float (&v)[kLaneTokens], const TileProbabilities& p, int half) {
#pragma unroll
    for (int i = 0; i < kLaneTokens; ++i)
        v[i] = kBoth ? p[i / 2][i % 2] + p[i / 2][i % 2 + 2] : p[i / 2][i % 2 + 2 * half];
}

/// Adds kCount values over the 2^kSteps rows that a token has below one another. Each step halves the values
/// that a lane still has, down to one: in the end values[0..] are those from first_summed() on.
template <int kSteps, int kCount, int kRoom>
__device__ __forceinline__ void sum_rows(float (&values)[kRoom]) {
    if constexpr (kSteps > 0) {
        constexpr int kDistance = 2 << kSteps;  // in lanes
        constexpr int kHalf = kCount / 2;
        const bool upper = (lane_index() & kDistance) != 0;  // this lane keeps the upper half
        if constexpr (kHalf == 0) values[0] += __shfl_xor_sync(0xffffffffU, values[0], kDistance);
#pragma unroll
        for (int i = 0; i < kHalf; ++i) {
            const float kept = upper ? values[i + kHalf] : values[i];
            const float sent = upper ? values[i] : values[i + kHalf];
            values[i] = kept + __shfl_xor_sync(0xffffffffU, sent, kDistance);
        }
        sum_rows<kSteps - 1, kHalf == 0 ? 1 : kHalf>(values);
    }
}
template <int kSteps, int kCount>
__device__ __forceinline__ int first_summed() {
    return lane_index() / 4 % (1 << kSteps) * kCount >> kSteps;
}

/// Where a warp's importance goes: a row of shared memory for each of its tokens, `token` being the first.
/// Rows behind `last_token` go along with it, and nobody reads them.
struct ImportanceRows {
    float* first;
    int pitch;
    int token;
    int last_token;

    [[nodiscard]] __device__ int blocks(const PrefillShape& shape, int row) const {
        return min(token + row, last_token) / shape.l_sel + 1;
    }
};

/// Of has_four_token_blocks(): a block has four tokens of its own with weights 2, 2, 2, 1 and 1 for the token
/// before it when l = 2 d; else 1, 1, 1, 1 and 0.
struct BlockWeights {
    float inner;
    float before;
};
[[nodiscard]] constexpr BlockWeights block_weights(const PrefillShape& shape) {
    return shape.l > shape.d ? BlockWeights{2.0F, 1.0F} : BlockWeights{1.0F, 0.0F};
}

/// Blocks with such weights. Of 16 rows, kHeads in a row are those of a token.
template <int kHeads>
class FourTokenBlocks {
  public:
    __device__ __forceinline__ FourTokenBlocks(const PrefillShape& shape, const ImportanceRows& rows,
                                               const BlockWeights& weights, float* /*scratch*/)
        : weights_{weights} {
        const int lane = lane_index();
        first_ = lane % 4 * kLaneBlocks + first_summed<kSteps, kLaneBlocks>();
#pragma unroll
        for (int half = 0; half < kHalves; ++half) {
            const int row = (half * 8 + lane / 4) / kHeads;
            importance_[half] = rows.first + row * rows.pitch;
            blocks_[half] = rows.blocks(shape, row);
            carry_[half] = 0.0F;
        }
    }

    /// Tiles come in ascending order.
    __device__ __forceinline__ void add(const TileProbabilities& p) {
        const int lane = lane_index();
#pragma unroll
        for (int half = 0; half < kHalves; ++half) {
            float v[kLaneTokens];
            lane_tokens<kHeads == 16>(v, p, half);
            // The token before the lane's first: of the lane before, or of the tile before.
            const float last = __shfl_sync(0xffffffffU, v[kLaneTokens - 1], lane / 4 * 4 + (lane + 3) % 4);
            float before = lane % 4 == 0 ? carry_[half] : last;
            carry_[half] = last;
            float blocks[kLaneBlocks];
#pragma unroll
            for (int i = 0; i < kLaneBlocks; ++i) {
                blocks[i] = fmaf(weights_.inner, v[4 * i] + v[4 * i + 1] + v[4 * i + 2], v[4 * i + 3]);
                blocks[i] = fmaf(weights_.before, before, blocks[i]);
                before = v[4 * i + 3];
            }
            sum_rows<kSteps, kLaneBlocks>(blocks);
#pragma unroll
            for (int i = 0; i < kSummed; ++i)
                if (writes() && first_ + i < blocks_[half]) importance_[half][first_ + i] = blocks[i];
        }
        first_ += kTileBlocks;
    }

    /// Blocks that no tile has reached.
    __device__ __forceinline__ void finish() const {
        const int end = first_ / kTileBlocks * kTileBlocks;
#pragma unroll
        for (int half = 0; half < kHalves; ++half) {
            float rest[1] = {carry_[half]};
            sum_rows<kSteps, 1>(rest);
            if (lane_index() / 4 % (1 << kSteps) != 0) continue;
            for (int index = end + lane_index() % 4; index < blocks_[half]; index += 4)
                importance_[half][index] = index == end ? weights_.before * rest[0] : 0.0F;
        }
    }

  private:
    static constexpr int kHalves = kHeads == 16 ? 1 : 2;  // a lane's two rows are of one token or of two
    static constexpr int kSteps = kHeads >= 8 ? 3 : kHeads / 2;  // the rows of a token, as a power of two
    static constexpr int kLaneBlocks = kLaneTokens / 4;
    static constexpr int kTileBlocks = kCompressedTile / 4;
    static constexpr int kSummed = kLaneBlocks >> kSteps > 0 ? kLaneBlocks >> kSteps : 1;

    // After one step more than there are blocks to halve, two lanes have the same sum.
    [[nodiscard]] __device__ static bool writes() {
        return kSteps < 3 || lane_index() / 4 % 2 == 0;
    }

    BlockWeights weights_;
    float* importance_[kHalves];
    int blocks_[kHalves];
    float carry_[kHalves];  // in the first lane of four: the last token of the tile before
    int first_;             // block that the lane writes next
};

/// Any l, d and l' of which d divides both; a token has all 16 rows.
class AnyBlocks {
  public:
    /// `scratch` [64] of shared memory: the warp's own.
    __device__ AnyBlocks(const PrefillShape& shape, const ImportanceRows& rows,
                         const BlockWeights& /*weights*/, float* scratch)
        : importance_{rows.first},
          scratch_{scratch},
          blocks_{rows.blocks(shape, 0)},
          token_pieces_{shape.l / shape.d},
          block_pieces_{shape.l_sel / shape.d} {
        for (int index = lane_index(); index < blocks_; index += kWarpSize)
            importance_[index] = 0.0F;
    }

    __device__ void add(const TileProbabilities& p) {
        float v[kLaneTokens];
        lane_tokens<true>(v, p, 0);
        sum_rows<3, kLaneTokens>(v);
        const int at = lane_index() % 4 * kLaneTokens + first_summed<3, kLaneTokens>();
        *reinterpret_cast<float2*>(scratch_ + at) = float2{v[0], v[1]};
        __syncwarp();
        const int first = begin_ / block_pieces_;
        const int last = min((begin_ + kCompressedTile + token_pieces_ - 2) / block_pieces_, blocks_ - 1);
        for (int block = first + lane_index(); block <= last; block += kWarpSize)
            importance_[block] = add_tokens(block, importance_[block]);
        begin_ += kCompressedTile;
        __syncwarp();
    }

    __device__ void finish() const {}

  private:
    // Token i covers the pieces [i, i + l/d) of d raw tokens, a block its l'/d. Tokens join in ascending
    // order whatever tile they are in.
    [[nodiscard]] __device__ float add_tokens(int block, float sum) const {
        const int block_begin = block * block_pieces_;
        const int block_end = block_begin + block_pieces_;
        const int end = min(block_end, begin_ + kCompressedTile);
        for (int i = max(begin_, block_begin - token_pieces_ + 1); i < end; ++i) {
            const int overlap = min(i + token_pieces_, block_end) - max(i, block_begin);
            sum = fmaf(static_cast<float>(overlap), scratch_[i - begin_], sum);
        }
        return sum;
    }

    float* importance_;
    float* scratch_;
    int blocks_;
    int token_pieces_;
    int block_pieces_;
    int begin_ = 0;  // of the next tile
};

}  // namespace nsa::core::cuda
