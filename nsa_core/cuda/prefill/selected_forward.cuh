// Attention of each token over the blocks that it selected: a warp for each token of a tile.
#pragma once

#include "nsa_core/cuda/prefill/selected_ring.cuh"
#include "nsa_core/cuda/prefill/softmax.cuh"

namespace nsa::core::cuda {

inline constexpr int kStepKeys =
    kStageRows;  // keys that a warp takes at a time: the products of a stage at once

/// Hides the columns from `visible` on.
__device__ __forceinline__ void hide_columns(float (&s)[1][kStepKeys / 8][4], int visible) {
#pragma unroll
    for (int tile = 0; tile < kStepKeys / 8; ++tile) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (tile * 8 + lane_index() % 4 * 2 + i % 2 >= visible) s[0][tile][i] = -INFINITY;
        }
    }
}

/// One token's softmax(scale Q Kᵀ) V as stages come by.
template <class T, int kDk, int kDv>
class SelectedSoftmax {
  public:
    __device__ SelectedSoftmax(const HeadRows<const T>& q, float scale) : log2_scale_{scale * kLog2E} {
        load_heads<kDk>(q_, q);
        clear(out);
        rows.restart();
    }

    __device__ void add(int visible, std::uint32_t keys, std::uint32_t values) {
        float s[1][kStepKeys / 8][4];
        clear(s);
        multiply_rows<T>(s, q_, right_blocks<kDk>(keys));
        if (visible < kStepKeys) hide_columns(s, visible);
        soften(s, rows, out, log2_scale_);
        std::uint32_t weights[1][kStepKeys / 16][4];
        pack_left<T>(s, weights);
        multiply_columns<T>(out, weights, left_blocks<kDv>(values));
    }

    float out[1][kDv / 8][4];  // unnormalised
    RowStates<1> rows;

  private:
    HeldBlocks<kDk, 1> q_;
    float log2_scale_;
};

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kWalkThreads)
    selected_forward_kernel(const __grid_constant__ SelectedForward p, int stages) {
    char* const shared_bytes = dynamic_shared<char>();
    const TokenTile this_tile = token_tile(p.sequences, p.shape);
    if (this_tile.empty()) return;
    const SelectedRing<T, kDk, kDv> ring{shared_bytes, stages, this_tile, p.lists, p.shape};
    if (warp_index() >= kTileTokens) {
        ring.produce(p.k, p.v, static_cast<int>(threadIdx.x) - kTileTokens * kWarpSize);
        __syncthreads();
        return;
    }
    const TokenTile& tile = ring.tile();
    SelectedSoftmax<T, kDk, kDv> attention{head_rows<T>(p.q, tile, warp_token(tile).token), p.scale};
    ring.consume(
        [&](int visible, std::uint32_t keys, std::uint32_t values) { attention.add(visible, keys, values); });
    __syncthreads();  // nobody reads a stage any more
    const auto [token, exists] = warp_token(tile);
    if (!exists) return;

    const int heads = tile.heads;
    float* lse = p.lse + tile.row(token) * p.shape.heads + tile.group * heads;
    float inverse[1][2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int head = lane_index() / 4 + half * 8;
        const float sum = quad_sum(attention.rows.sum[0][half]);
        inverse[0][half] = sum == 0.0F ? 0.0F : 1.0F / sum;  // a NaN stays one
        if (lane_index() % 4 == 0 && head < heads)
            lse[head] = sum == 0.0F ? -INFINITY : (attention.rows.maximum[0][half] + log2f(sum)) / kLog2E;
    }
    const auto out = head_rows<T>(p.out, tile, token);
    store_rows<T>(attention.out, inverse, staging_rows<kDv>(shared_bytes),
                  [&](int head) -> T* { return head < out.heads ? out.first + head * out.stride : nullptr; });
}

}  // namespace nsa::core::cuda
