// Which blocks each token selects. The second half of compressed attention: with the log-sum-exp known,
// probabilities are final when they are made; they become the importance of selection blocks in shared memory
// and never leave the chip. A warp for each token; all warps share the tiles of compressed keys.
#pragma once

#include "nsa_core/cuda/prefill/importance_sums.cuh"
#include "nsa_core/cuda/prefill/interval.hpp"
#include "nsa_core/cuda/prefill/selected_tile.cuh"
#include "nsa_core/cuda/prefill/top_n.cuh"

namespace nsa::core::cuda {

inline constexpr int kImportanceThreads = kTileTokens * kWarpSize;

/// Dynamic shared memory: stages of keys, importance [8, pitch], scratch [8, 64].
template <int kDk>
struct ImportanceShared {
    static constexpr int kStageBytes = TileLayout<kDk>::bytes(kCompressedTile);
    static constexpr int kKeyBytes = kImportanceStages * kStageBytes;

    __device__ ImportanceShared(char* bytes, int pitch)
        : keys{shared_address(bytes)},
          importance{reinterpret_cast<float*>(bytes + kKeyBytes) + warp_index() * pitch},
          scratch{reinterpret_cast<float*>(bytes + kKeyBytes) + kTileTokens * pitch +
                  warp_index() * kCompressedTile} {}

    [[nodiscard]] __device__ std::uint32_t stage(int tile) const {
        return keys + tile % kImportanceStages * kStageBytes;
    }

    std::uint32_t keys;
    float* importance;  // of the warp's token
    float* scratch;
};

/// Fills the importance of the warp's token. All warps of the thread block call it together.
template <class T, int kDk, class Blocks>
__device__ __forceinline__ void make_importance(const ImportanceTopN& p, const KeyInterval& interval,
                                                const BlockWeights& weights, const TokenTile& tile, int token,
                                                const ImportanceShared<kDk>& shared) {
    HeldBlocks<kDk, 1> q;
    load_heads<kDk>(q, head_rows<T>(p.q, tile, token));
    const float* lse = p.lse + tile.row(token) * p.shape.heads + tile.group * tile.heads;
    float log2_sum[2];
    for_heads(log2_sum, tile.heads, INFINITY, [&](int head) { return lse[head] * kLog2E; });

    const Sequence compressed = compressed_rows_of(p.sequences, static_cast<int>(blockIdx.y));
    const T* const keys = first_row<T>(p.k, compressed, tile.group, tile.packed);
    const int all = interval.of(tile.last()).last;
    const int mine = interval.of(token).last;
    const int tiles = (all + kCompressedTile - 1) / kCompressedTile;
    const auto issue = [&](int i) {
        const int first = i * kCompressedTile;
        if (i < tiles) {
            copy_rows<T, kCompressedTile, kDk, kImportanceThreads>(
                shared.stage(i), static_cast<int>(threadIdx.x), [&](int row) -> const T* {
                    const int key = first + token_of_key_row(row);
                    return key < all ? keys + key * p.k.token : nullptr;
                });
        }
        commit_copies();
    };
    Blocks blocks{p.shape, {shared.importance, 0, token, token}, weights, shared.scratch};
    issue(0);
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
        wait_copies<0>();
        __syncthreads();  // the tile is there, and nobody reads the stage that is filled next
        issue(i + 1);
        float s[1][kCompressedTile / 8][4];
        clear(s);
        multiply_rows<T>(s, q, right_blocks<kDk>(shared.stage(i)));
        const int visible = mine - i * kCompressedTile;
        make_probabilities(s[0], p.scale * kLog2E, log2_sum, {visible, visible});
        blocks.add(s[0]);
    }
    blocks.finish();
    __syncwarp();
}

/// Whether all blocks that the tile's tokens see are selected.
__device__ __forceinline__ bool all_selected(const ImportanceTopN& p, const TokenTile& tile) {
    return tile.last() / p.shape.l_sel + 1 <= p.shape.n;
}

/// The list of one token, by one warp, from its importance, which is overwritten.
__device__ __forceinline__ void write_choice(const ImportanceTopN& p, const TokenTile& tile, int token,
                                             float* importance) {
    const int blocks = token / p.shape.l_sel + 1;
    const std::int64_t list = tile.row(token) * p.shape.groups + tile.group;
    if (p.importance != nullptr) {
        for (int i = lane_index(); i < blocks; i += kWarpSize)
            p.importance[list * max_blocks(p.shape) + i] = importance[i];
        __syncwarp();
    }
    const int chosen = choose_blocks(p.shape, importance, blocks);
    write_ascending(chosen, p.shape.n, p.lists.blocks + list * p.shape.n, p.lists.count + list);
}

template <class T, int kDk, class Blocks>
__global__ void __launch_bounds__(kImportanceThreads)
    importance_top_n_kernel(const __grid_constant__ ImportanceTopN p, KeyInterval interval,
                            BlockWeights weights) {
    const TokenTile tile = token_tile(p.sequences, p.shape);
    if (tile.empty()) return;
    const ImportanceShared<kDk> shared{dynamic_shared<char>(), importance_pitch(p.shape)};
    const auto [token, exists] = warp_token(tile);
    if (!all_selected(p, tile) || p.importance != nullptr)
        make_importance<T, kDk, Blocks>(p, interval, weights, tile, token, shared);
    if (exists) write_choice(p, tile, token, shared.importance);
}

}  // namespace nsa::core::cuda
