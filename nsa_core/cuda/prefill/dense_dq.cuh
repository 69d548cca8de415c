// dQ of a dense branch: the tiles of the forward, keys and values together, 32 at a time, in two stages.
#pragma once

#include "nsa_core/cuda/prefill/query_tile.cuh"
#include "nsa_core/cuda/prefill/row_terms.cuh"
#include "nsa_core/cuda/prefill/tile.cuh"

namespace nsa::core::cuda {

// Blocks of 16 rows of a warp: two let a block of keys feed two products each, where dQ fits the registers.
template <int kDk>
inline constexpr int kDqBlocks = kDk > 128 ? 1 : 2;
template <int kDk>
inline constexpr int kDqRows = 16 * kDqBlocks<kDk>* kDenseWarps;
inline constexpr int kDqKeys = 32;

template <int kDk, int kDv>
struct alignas(128) DqShared {
    struct Stage {
        char k[TileLayout<kDk>::bytes(kDqKeys)];
        char v[TileLayout<kDv>::bytes(kDqKeys)];
    };
    char q[TileLayout<kDk>::bytes(kDqRows<kDk>)];  // at the end, staging of dQ
    char d_out[TileLayout<kDv>::bytes(kDqRows<kDk>)];
    Stage stages[2];
};

// s becomes dS = P (gate dP - delta).
template <int kM, int kN>
__device__ __forceinline__ void score_gradients(float (&s)[kM][kN][4], const float (&dp)[kM][kN][4],
                                                const RowTerms (&terms)[kM][2], float log2_scale) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const RowTerms& row = terms[m][i / 2];
                const float p = exp2_fast(fmaf(s[m][n][i], log2_scale, -row.lse));
                s[m][n][i] = p * fmaf(row.gate, dp[m][n][i], -row.delta);
            }
}

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kDenseThreads)
    dense_dq_kernel(const __grid_constant__ DenseBackward p, KeyInterval interval, GroupHeads heads) {
    constexpr int kBlocks = kDqBlocks<kDk>;
    constexpr int kRows = kDqRows<kDk>;
    auto& shared = *dynamic_shared<DqShared<kDk, kDv>>();
    const bool packed = p.sequences.cu_tokens != nullptr;
    const int sequence = static_cast<int>(blockIdx.y);
    const Sequence tokens = tokens_of(p.sequences, sequence);
    const Sequence keys =
        p.branch == DenseBranch::kWindow ? tokens : compressed_rows_of(p.sequences, sequence);
    const QueryTile tile = query_tile(p.shape.groups, kRows >> heads.log2, tokens.length, interval);
    if (tile.first_token > tile.last_token) return;

    const int thread = static_cast<int>(threadIdx.x);
    const int head = tile.group << heads.log2;
    const auto load_queries = [&](auto width, char* to, const ConstRows& from) {
        const T* const rows = first_row<T>(from, tokens, head, packed);
        copy_rows<T, kRows, width(), kDenseThreads>(shared_address(to), thread, [&](int row) -> const T* {
            const int token = tile.first_token + heads.token(row);
            return token <= tile.last_token ? rows + token * from.token + heads.head(row) * from.head
                                            : nullptr;
        });
    };
    const T* const k = first_row<T>(p.k, keys, tile.group, packed);
    const T* const v = first_row<T>(p.v, keys, tile.group, packed);
    const auto load_stage = [&](int stage, int first) {
        const auto row_of = [&](const T* from, std::int64_t stride) {
            const T* const first_row = from + first * stride;
            return [=, last = tile.keys.last](int row) -> const T* {
                return first + row < last ? first_row + row * stride : nullptr;
            };
        };
        copy_rows<T, kDqKeys, kDk, kDenseThreads>(shared_address(shared.stages[stage].k), thread,
                                                  row_of(k, p.k.token));
        copy_rows<T, kDqKeys, kDv, kDenseThreads>(shared_address(shared.stages[stage].v), thread,
                                                  row_of(v, p.v.token));
    };
    load_queries(std::integral_constant<int, kDk>{}, shared.q, p.q);
    load_queries(std::integral_constant<int, kDv>{}, shared.d_out, p.d_out);
    if (tile.keys.first < tile.keys.last) load_stage(0, tile.keys.first);
    commit_copies();

    const int lane = lane_index();
    const int warp_row = warp_index() * 16 * kBlocks;
    const auto token_of = [&](int row) { return tile.first_token + heads.token(warp_row + row); };
    RowTerms terms[kBlocks][2];
#pragma unroll
    for (int i = 0; i < 2 * kBlocks; ++i) {
        const int row = 8 * i + lane / 4;
        if (token_of(row) <= tile.last_token)
            terms[i / 2][i % 2] =
                row_terms<T>(p, tokens.first + token_of(row), head + heads.head(warp_row + row));
    }
    const auto q_blocks = left_blocks<kDk>(shared_address(shared.q) + TileLayout<kDk>::bytes(warp_row));
    const auto d_out_blocks =
        left_blocks<kDv>(shared_address(shared.d_out) + TileLayout<kDv>::bytes(warp_row));
    const float log2_scale = p.scale * kLog2E;
    float dq[kBlocks][kDk / 8][4];
    clear(dq);
    int stage = 0;
#pragma unroll 1
    for (int key = tile.keys.first; key < tile.keys.last; key += kDqKeys, stage ^= 1) {
        wait_copies<0>();
        __syncthreads();  // this stage is here, and nobody reads the other any more
        if (key + kDqKeys < tile.keys.last) load_stage(stage ^ 1, key + kDqKeys);
        commit_copies();
        const std::uint32_t k_tile = shared_address(shared.stages[stage].k);
        float s[kBlocks][kDqKeys / 8][4];
        float dp[kBlocks][kDqKeys / 8][4];
        clear(s);
        clear(dp);
        multiply_rows<T>(s, q_blocks, right_blocks<kDk>(k_tile));
        multiply_rows<T>(dp, d_out_blocks, right_blocks<kDv>(shared_address(shared.stages[stage].v)));
        if (!tile.whole(key, kDqKeys)) hide_keys(s, key, [&](int row) { return interval.of(token_of(row)); });
        score_gradients(s, dp, terms, log2_scale);
        std::uint32_t ds[kBlocks][kDqKeys / 16][4];
        pack_left<T>(s, ds);
        multiply_columns<T>(dq, ds, left_blocks<kDk>(k_tile));
    }
    wait_copies<0>();
    if (tile.keys.first >= tile.keys.last) __syncthreads();  // all copies end before their tile is reused

    float scale[kBlocks][2];
#pragma unroll
    for (int i = 0; i < 2 * kBlocks; ++i)
        scale[i / 2][i % 2] = p.scale;
    T* const rows = first_row<T>(p.d_q, tokens, head, packed);
    store_rows<T>(
        dq, scale, shared.q + TileLayout<kDk>::bytes(warp_row),
        [&](int row) -> T* {
            return token_of(row) <= tile.last_token
                       ? rows + token_of(row) * p.d_q.token + heads.head(warp_row + row) * p.d_q.head
                       : nullptr;
        },
        p.add_to_d_q);
}

}  // namespace nsa::core::cuda
