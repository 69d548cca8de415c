// Forward of a dense branch. A thread block owns a tile of query rows of one group and walks the keys that
// any of its tokens sees, 64 at a time. Keys and values have one buffer each: values arrive while scores are
// made, the next keys while values are summed.
#pragma once

#include "nsa_core/cuda/prefill/dense_results.cuh"
#include "nsa_core/cuda/prefill/query_tile.cuh"
#include "nsa_core/cuda/prefill/softmax.cuh"
#include "nsa_core/cuda/prefill/tile.cuh"

namespace nsa::core::cuda {

inline constexpr int kRowBlocks = 2;  // 16-row blocks of a warp: a block of keys then feeds two products each
inline constexpr int kWarpRows = 16 * kRowBlocks;
inline constexpr int kTileRows = kWarpRows * kDenseWarps;
template <int kDk>
inline constexpr int kTileKeys = kDk > 128 ? 48 : 64;  // of 64 the scores do not fit beside dk = 192

template <int kDk, int kDv>
struct alignas(128) DenseForwardShared {
    char q[TileLayout<kDk>::bytes(kTileRows)];  // at the end, staging of the outputs
    char k[TileLayout<kDk>::bytes(kTileKeys<kDk>)];
    char v[TileLayout<kDv>::bytes(kTileKeys<kDk>)];
};

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kDenseThreads)
    dense_forward_kernel(const __grid_constant__ DenseForward p, KeyInterval interval, GroupHeads heads) {
    constexpr int kKeys = kTileKeys<kDk>;
    auto& shared = *dynamic_shared<DenseForwardShared<kDk, kDv>>();
    const bool packed = p.sequences.cu_tokens != nullptr;
    const Sequence tokens = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
    const Sequence keys = p.branch == DenseBranch::kWindow
                              ? tokens
                              : compressed_rows_of(p.sequences, static_cast<int>(blockIdx.y));
    const QueryTile tile = query_tile(p.shape.groups, kTileRows >> heads.log2, tokens.length, interval);
    if (tile.first_token > tile.last_token) return;

    const int thread = static_cast<int>(threadIdx.x);
    const int head = tile.group << heads.log2;
    const T* const q = first_row<T>(p.q, tokens, head, packed);
    const T* const k = first_row<T>(p.k, keys, tile.group, packed);
    const T* const v = first_row<T>(p.v, keys, tile.group, packed);
    const auto load_keys = [&](char* to, const T* from, std::int64_t stride, int first, auto width) {
        const T* const first_row = from + first * stride;
        copy_rows<T, kKeys, decltype(width)::value, kDenseThreads>(
            shared_address(to), thread, [&](int row) -> const T* {
                return first + row < tile.keys.last ? first_row + row * stride : nullptr;
            });
    };
    constexpr std::integral_constant<int, kDk> kKeyWidth;
    constexpr std::integral_constant<int, kDv> kValueWidth;

    copy_rows<T, kTileRows, kDk, kDenseThreads>(shared_address(shared.q), thread, [&](int row) -> const T* {
        const int token = tile.first_token + heads.token(row);
        return token <= tile.last_token ? q + token * p.q.token + heads.head(row) * p.q.head : nullptr;
    });
    if (tile.keys.first < tile.keys.last) load_keys(shared.k, k, p.k.token, tile.keys.first, kKeyWidth);
    commit_copies();

    const int warp_row = warp_index() * kWarpRows;
    const auto q_blocks = left_blocks<kDk>(shared_address(shared.q) + TileLayout<kDk>::bytes(warp_row));
    const auto k_blocks = right_blocks<kDk>(shared_address(shared.k));
    const auto v_blocks = left_blocks<kDv>(shared_address(shared.v));
    const auto interval_of_row = [&](int row) {
        return interval.of(tile.first_token + heads.token(warp_row + row));
    };
    const float log2_scale = p.scale * kLog2E;
    float out[kRowBlocks][kDv / 8][4];
    RowStates<kRowBlocks> rows;
    clear(out);
    rows.restart();
#pragma unroll 1
    for (int key = tile.keys.first; key < tile.keys.last; key += kKeys) {
        wait_copies<0>();
        __syncthreads();  // keys are here, and nobody reads the values before them any more
        load_keys(shared.v, v, p.v.token, key, kValueWidth);
        commit_copies();
        float s[kRowBlocks][kKeys / 8][4];
        clear(s);
        multiply_rows<T>(s, q_blocks, k_blocks);
        wait_copies<0>();
        __syncthreads();  // values are here, and nobody reads these keys any more
        if (key + kKeys < tile.keys.last) load_keys(shared.k, k, p.k.token, key + kKeys, kKeyWidth);
        commit_copies();
        if (!tile.whole(key, kKeys)) hide_keys(s, key, interval_of_row);
        soften(s, rows, out, log2_scale);
        std::uint32_t weights[kRowBlocks][kKeys / 16][4];
        pack_left<T>(s, weights);
        multiply_columns<T>(out, weights, v_blocks);
    }
    wait_copies<0>();
    if (tile.keys.first >= tile.keys.last)
        __syncthreads();  // the queries' copies end before their tile is reused

    write_results<T>(p, tokens, tile, heads, warp_row, rows, out,
                     shared.q + TileLayout<kDk>::bytes(warp_row));
}

}  // namespace nsa::core::cuda
