// Gradient of the queries: the walk of the forward with three products a step, P again from the log-sum-exp.
#pragma once

#include "nsa_core/cuda/prefill/selected_ring.cuh"

namespace nsa::core::cuda {

/// What a warp keeps in shared memory beside the ring: 16 rows of dO, and of queries where registers do not
/// hold them beside dQ.
template <int kDk, int kDv, int kKeys>
struct alignas(128) DqRows {
    static constexpr bool kHoldsQueries = dq_holds_queries(kDk, kKeys);
    static constexpr int kOutBytes = TileLayout<kDv>::bytes(16);
    char bytes[kOutBytes + (kHoldsQueries ? 0 : TileLayout<kDk>::bytes(16))];
};

/// What a row's gradient is made with, for the lane's two heads.
struct RowGradients {
    float log2_sum[2];
    float delta[2];
    float gate[2];
};

template <class T>
__device__ __forceinline__ RowGradients row_gradients(const SelectedBackward& p, const TokenTile& tile,
                                                      int token) {
    const int heads = tile.heads;
    const std::int64_t row = tile.row(token) * p.shape.heads + tile.group * heads;
    RowGradients rows;
    // A row without keys, and a head that is not there, have no probabilities.
    for_heads(rows.log2_sum, heads, INFINITY, [&](int head) {
        const float lse = p.lse[row + head];
        return lse == -INFINITY ? INFINITY : lse * kLog2E;
    });
    for_heads(rows.delta, heads, 0.0F, [&](int head) { return p.delta[row + head]; });
    const T* gates = static_cast<const T*>(p.gates);
    for_heads(rows.gate, heads, 0.0F, [&](int head) {
        return gates == nullptr ? 1.0F : Half<T>::to_float(gates[(row + head) * p.gate_stride]);
    });
    return rows;
}

/// One token's dQ as stages come by, kKeys keys at a time.
template <class T, int kDk, int kDv, int kKeys>
class SelectedQueryGradient {
  public:
    using WarpRows = DqRows<kDk, kDv, kKeys>;

    __device__ SelectedQueryGradient(WarpRows& shared, const HeadRows<const T>& q,
                                     const HeadRows<const T>& d_out, const RowGradients& rows, float scale)
        : d_out_{copy_heads<kDv>(shared.bytes, d_out)}, rows_{rows}, log2_scale_{scale * kLog2E} {
        if constexpr (WarpRows::kHoldsQueries) {
            load_heads<kDk>(q_, q);
        } else {
            q_ = copy_heads<kDk>(shared.bytes + WarpRows::kOutBytes, q);
        }
        clear(d_q);
    }

    __device__ void add(int visible, std::uint32_t keys, std::uint32_t values) {
        if constexpr (kKeys == kStageRows) {
            add_step(visible, keys, values);
        } else {
#pragma unroll 1
            for (int first = 0; first < visible; first += kKeys)
                add_step(visible - first, keys + first * TileLayout<kDk>::kRowBytes,
                         values + first * TileLayout<kDv>::kRowBytes);
        }
    }

    float d_q[1][kDk / 8][4];  // not scaled

  private:
    __device__ __forceinline__ void add_step(int visible, std::uint32_t keys, std::uint32_t values) {
        float s[1][kKeys / 8][4];
        float d_p[1][kKeys / 8][4];
        clear(s);
        clear(d_p);
        multiply_rows<T>(s, q_, right_blocks<kDk>(keys));
        multiply_rows<T>(d_p, d_out_, right_blocks<kDv>(values));
        score_gradients(s, d_p, visible);
        std::uint32_t weights[1][kKeys / 16][4];
        pack_left<T>(s, weights);
        multiply_columns<T>(d_q, weights, left_blocks<kDk>(keys));
    }

    /// `s` becomes P (g dP - delta).
    __device__ void score_gradients(float (&s)[1][kKeys / 8][4], const float (&d_p)[1][kKeys / 8][4],
                                    int visible) const {
#pragma unroll
        for (int tile = 0; tile < kKeys / 8; ++tile) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int half = i / 2;
                const float p = exp2_fast(fmaf(s[0][tile][i], log2_scale_, -rows_.log2_sum[half]));
                const float gradient = p * fmaf(rows_.gate[half], d_p[0][tile][i], -rows_.delta[half]);
                const bool seen = tile * 8 + lane_index() % 4 * 2 + i % 2 < visible;
                s[0][tile][i] = seen ? gradient : 0.0F;
            }
        }
    }

    std::conditional_t<WarpRows::kHoldsQueries, HeldBlocks<kDk, 1>, LaneBlocks<kDk>> q_;
    LaneBlocks<kDv> d_out_;
    RowGradients rows_;
    float log2_scale_;
};

template <class T, int kDk, int kDv, int kKeys>
__global__ void __launch_bounds__(kWalkThreads)
    selected_dq_kernel(const __grid_constant__ SelectedBackward p, int stages) {
    const TokenTile this_tile = token_tile(p.sequences, p.shape);
    if (this_tile.empty()) return;
    auto* const warp_rows = dynamic_shared<DqRows<kDk, kDv, kKeys>>();
    char* const stage_bytes = reinterpret_cast<char*>(warp_rows + kTileTokens);
    const SelectedRing<T, kDk, kDv> ring{stage_bytes, stages, this_tile, p.lists, p.shape};
    if (warp_index() >= kTileTokens) {
        ring.produce(p.k, p.v, static_cast<int>(threadIdx.x) - kTileTokens * kWarpSize);
        __syncthreads();
        return;
    }
    const TokenTile& tile = ring.tile();
    const int own = warp_token(tile).token;
    SelectedQueryGradient<T, kDk, kDv, kKeys> gradient{warp_rows[warp_index()], head_rows<T>(p.q, tile, own),
                                                       head_rows<T>(p.d_out, tile, own),
                                                       row_gradients<T>(p, tile, own), p.scale};
    ring.consume(
        [&](int visible, std::uint32_t keys, std::uint32_t values) { gradient.add(visible, keys, values); });
    __syncthreads();  // nobody reads a stage any more
    const auto [token, exists] = warp_token(tile);
    if (!exists) return;
    const float scale[1][2] = {{p.scale, p.scale}};
    const auto d_q = head_rows<T>(p.d_q, tile, token);
    store_rows<T>(
        gradient.d_q, scale, staging_rows<kDk>(stage_bytes),
        [&](int head) -> T* { return head < d_q.heads ? d_q.first + head * d_q.stride : nullptr; },
        p.add_to_d_q);
}

}  // namespace nsa::core::cuda
