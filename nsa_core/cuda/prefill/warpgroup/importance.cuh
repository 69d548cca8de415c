// importance_top_n by the products of warpgroups (sm_90a). Up to four of them, 64 rows of scores each, share
// the tiles of compressed keys, which a producer warp copies into a ring; while one makes probabilities and
// sums, the products of the others run. Rows are token by token and head by head, without padding: a warp has
// 16 heads of a token, or the heads of several tokens.
#pragma once

#include "nsa_core/cuda/prefill/boxes.cuh"
#include "nsa_core/cuda/prefill/importance.cuh"

namespace nsa::core::cuda {

/// With the producer warp.
[[nodiscard]] constexpr int top_n_threads(int warpgroups) {
    return warpgroups * kWarpgroupThreads + kWarpSize;
}

/// Step `step` of rows in registers, for warpgroup_rows.
template <int kWidth>
__device__ __forceinline__ const std::uint32_t (&left_step(const HeldBlocks<kWidth, 1>& rows, int step))[4] {
    return rows.a[step][0];
}

/// Dynamic shared memory: tiles of keys, their barriers, importance [tokens, pitch].
template <int kDk>
struct TopNShared {
    static constexpr int kTileBytes = BoxLayout<kDk>::bytes(kCompressedTile);

    __device__ explicit TopNShared(char* bytes)
        : keys{shared_address(bytes)},
          full{reinterpret_cast<std::uint64_t*>(bytes + kTopNStages * kTileBytes)},
          empty{full + kTopNStages},
          importance{reinterpret_cast<float*>(empty + kTopNStages)} {}

    [[nodiscard]] __device__ std::uint32_t tile(int stage) const { return keys + stage * kTileBytes; }

    std::uint32_t keys;
    std::uint64_t* full;
    std::uint64_t* empty;
    float* importance;
};

/// What the roles of a thread block share. `visible`: compressed tokens that its last token sees.
template <class T, int kDk>
struct TopNTile {
    const ImportanceTopN& p;
    const TokenTile& tile;
    const TopNShared<kDk>& shared;
    int visible;

    [[nodiscard]] __device__ int tiles() const { return (visible + kCompressedTile - 1) / kCompressedTile; }

    /// The producer warp.
    __device__ __forceinline__ void produce() const {
        const Sequence compressed = compressed_rows_of(p.sequences, static_cast<int>(blockIdx.y));
        const T* const keys = first_row<T>(p.k, compressed, tile.group, tile.packed);
#pragma unroll 1
        for (int i = 0; i < tiles(); ++i) {
            const int stage = i % kTopNStages;
            barrier_wait(&shared.empty[stage],
                         (i / kTopNStages + 1) % 2);  // the phase before the first is over
            copy_boxes<T, kCompressedTile, kDk, kWarpSize>(
                shared.tile(stage), lane_index(), [&](int row) -> const T* {
                    const int key = i * kCompressedTile + token_of_key_row(row);
                    return key < visible ? keys + key * p.k.token : nullptr;
                });
            commit_copies();
            if (i > 0) hand_over<1>(i - 1);
        }
        if (tiles() > 0) hand_over<0>(tiles() - 1);
    }

    /// The copies but those of the latest kPending tiles are there: what the products of others read.
    template <int kPending>
    __device__ __forceinline__ void hand_over(int i) const {
        wait_copies<kPending>();
        fence_async_proxy();
        barrier_arrive(&shared.full[i % kTopNStages]);
    }

    /// A warp's 16 rows, kHeads of them to a token. All warps of a warpgroup call it together.
    template <int kHeads>
    __device__ __forceinline__ void consume(const KeyInterval& interval, const BlockWeights& weights,
                                            const ImportanceRows& importance) const {
        const auto token_of = [&](int row) { return min(importance.token + row / kHeads, tile.last()); };
        const auto head_of = [&](int row) { return tile.group * kHeads + row % kHeads; };
        HeldBlocks<kDk, 1> q;
        load_rows<kDk>(q, [&](int row) {
            return first_row<T>(p.q, tile.sequence, head_of(row), tile.packed) + token_of(row) * p.q.token;
        });
        float log2_sum[2];
        int seen[2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = lane_index() / 4 + half * 8;
            log2_sum[half] = p.lse[tile.row(token_of(row)) * p.shape.heads + head_of(row)] * kLog2E;
            seen[half] = interval.of(token_of(row)).last;
        }
        FourTokenBlocks<kHeads> blocks{p.shape, importance, weights, nullptr};
#pragma unroll 1
        for (int i = 0, last = __shfl_sync(0xffffffffU, tiles(), 0); i < last; ++i) {
            const int stage = i % kTopNStages;
            float s[kCompressedTile / 8][4];
            barrier_wait(&shared.full[stage], i / kTopNStages % 2);
            warpgroup_fence(s, q.a);
            warpgroup_rows<T, kDk>(s, q, right_operand<kDk, kCompressedTile>(shared.tile(stage)), false);
            warpgroup_commit();
            warpgroup_wait<0>(s);
            if (lane_index() == 0) barrier_arrive(&shared.empty[stage]);
            const int first = i * kCompressedTile;
            make_probabilities(s, p.scale * kLog2E, log2_sum, {seen[0] - first, seen[1] - first});
            blocks.add(s);
        }
        blocks.finish();
        __syncwarp();
    }
};

template <class T, int kDk, int kHeads>
__global__ void __launch_bounds__(top_n_threads(top_n_warpgroups(kDk)), 1)
    warpgroup_importance_top_n_kernel(const __grid_constant__ ImportanceTopN p, KeyInterval interval,
                                      BlockWeights weights) {
    constexpr int kWarpTokens = 16 / kHeads;
    const int consumers = static_cast<int>(blockDim.x / kWarpSize) - 1;  // warps
    const TokenTile tile = token_tile(p.sequences, p.shape.groups, consumers * kWarpTokens);
    if (tile.empty()) return;
    const TopNShared<kDk> shared{dynamic_shared<char>()};
    const TopNTile<T, kDk> work{p, tile, shared, interval.of(tile.last()).last};
    const bool scored = !all_selected(p, tile) || p.importance != nullptr;
    if (scored) {
        if (threadIdx.x < kTopNStages) {
            barrier_init(&shared.full[threadIdx.x], kWarpSize);
            barrier_init(&shared.empty[threadIdx.x], consumers);
        }
        __syncthreads();
    }
    if (warp_index() == consumers) {
        if (scored) work.produce();
        return;
    }
    const int pitch = importance_pitch(p.shape);
    const ImportanceRows importance{shared.importance + warp_index() * kWarpTokens * pitch, pitch,
                                    tile.first + warp_index() * kWarpTokens, tile.last()};
    if (scored) work.template consume<kHeads>(interval, weights, importance);
#pragma unroll 1
    for (int i = 0; i < kWarpTokens && importance.token + i <= tile.last(); ++i)
        write_choice(p, tile, importance.token + i, importance.first + i * pitch);
}

}  // namespace nsa::core::cuda
