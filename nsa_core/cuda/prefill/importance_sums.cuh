// From the probabilities of 64 compressed tokens to the importance of selection blocks (Eqs. 9 and 10),
// inside one warp. Every block's importance comes from the same additions in the same order, wherever it
// lies: equal scores give exactly equal importance.
#pragma once

#include "nsa_core/cuda/prefill/selected_tile.cuh"

namespace nsa::core::cuda {

/// Adds p [16 heads, 64] over the heads: lane i gets the sums of columns 2i and 2i + 1. `p` is laid out as
/// `mma` does, one tile of 8 columns behind the other. Each step halves the tiles that a lane still has.
__device__ __forceinline__ float2 sum_heads(const float (&p)[1][kCompressedTile / 8][4]) {
    const int lane = lane_index();
    float sum[kCompressedTile / 8][2];
#pragma unroll
    for (int tile = 0; tile < kCompressedTile / 8; ++tile) {
        sum[tile][0] = p[0][tile][0] + p[0][tile][2];
        sum[tile][1] = p[0][tile][1] + p[0][tile][3];
    }
#pragma unroll
    for (int half = 4; half >= 1; half /= 2) {
        const bool upper = (lane & (half * 4)) != 0;  // this lane keeps the upper half of its tiles
#pragma unroll
        for (int tile = 0; tile < half; ++tile) {
#pragma unroll
            for (int column = 0; column < 2; ++column) {
                const float kept = upper ? sum[tile + half][column] : sum[tile][column];
                const float sent = upper ? sum[tile][column] : sum[tile + half][column];
                sum[tile][column] = kept + __shfl_xor_sync(0xffffffffU, sent, half * 4);
            }
        }
    }
    return {sum[0][0], sum[0][1]};
}

/// l' = 4 d, and l = d or 2 d: a block has four tokens of its own, a lane pair, with weights 2, 2, 2, 1 and
/// 1 for the token before it when l = 2 d; else 1, 1, 1, 1 and 0.
class FourTokenBlocks {
  public:
    /// `importance` [blocks] of shared memory: the warp's token.
    __device__ FourTokenBlocks(const PrefillShape& shape, float* importance, int blocks, float* /*scratch*/)
        : importance_{importance},
          blocks_{blocks},
          inner_{shape.l > shape.d ? 2.0F : 1.0F},
          reach_{shape.l > shape.d ? 1.0F : 0.0F} {}

    [[nodiscard]] static bool fits(const PrefillShape& shape) {
        return shape.l_sel == 4 * shape.d && (shape.l == shape.d || shape.l == 2 * shape.d);
    }

    /// Head sums of the columns of tile `tile`, which come in ascending order.
    __device__ void add(int tile, float2 sums) {
        const int lane = lane_index();
        const bool even = lane % 2 == 0;
        float before = __shfl_up_sync(0xffffffffU, sums.y, 1);
        if (lane == 0) before = carry_;
        carry_ = __shfl_sync(0xffffffffU, sums.y, kWarpSize - 1);
        const float mine = even ? inner_ * (sums.x + sums.y) + reach_ * before : inner_ * sums.x + sums.y;
        const float block = mine + __shfl_xor_sync(0xffffffffU, mine, 1);
        const int index = tile * (kCompressedTile / 4) + lane / 2;
        if (even && index < blocks_) importance_[index] = block;
        end_ = (tile + 1) * (kCompressedTile / 4);
    }

    /// Blocks that no tile has reached.
    __device__ void finish() const {
        const int lane = lane_index();
        for (int index = end_ + lane; index < blocks_; index += kWarpSize)
            importance_[index] = index == end_ ? reach_ * carry_ : 0.0F;
    }

  private:
    float* importance_;
    int blocks_;
    float inner_;
    float reach_;
    float carry_ = 0.0F;  // the last column of the tile before
    int end_ = 0;
};

/// Any l, d and l' of which d divides both.
class AnyBlocks {
  public:
    /// `scratch` [64] of shared memory: the warp's own.
    __device__ AnyBlocks(const PrefillShape& shape, float* importance, int blocks, float* scratch)
        : importance_{importance},
          scratch_{scratch},
          blocks_{blocks},
          token_pieces_{shape.l / shape.d},
          block_pieces_{shape.l_sel / shape.d} {
        for (int index = lane_index(); index < blocks; index += kWarpSize)
            importance_[index] = 0.0F;
    }

    __device__ void add(int tile, float2 sums) {
        const int begin = tile * kCompressedTile;
        reinterpret_cast<float2*>(scratch_)[lane_index()] = sums;
        __syncwarp();
        const int first = begin / block_pieces_;
        const int last = min((begin + kCompressedTile + token_pieces_ - 2) / block_pieces_, blocks_ - 1);
        for (int block = first + lane_index(); block <= last; block += kWarpSize)
            importance_[block] = add_tokens(block, begin, importance_[block]);
        __syncwarp();
    }

    __device__ void finish() const {}

  private:
    // Token i covers the pieces [i, i + l/d) of d raw tokens, a block its l'/d. Tokens join in ascending
    // order whatever tile they are in.
    [[nodiscard]] __device__ float add_tokens(int block, int begin, float sum) const {
        const int block_begin = block * block_pieces_;
        const int block_end = block_begin + block_pieces_;
        const int end = min(block_end, begin + kCompressedTile);
        for (int i = max(begin, block_begin - token_pieces_ + 1); i < end; ++i) {
            const int overlap = min(i + token_pieces_, block_end) - max(i, block_begin);
            sum = fmaf(static_cast<float>(overlap), scratch_[i - begin], sum);
        }
        return sum;
    }

    float* importance_;
    float* scratch_;
    int blocks_;
    int token_pieces_;
    int block_pieces_;
};

}  // namespace nsa::core::cuda
