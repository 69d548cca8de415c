// importance_top_n by the products of two warpgroups (sm_90a) of 64 rows each, which share the tiles of
// compressed keys that a producer warp copies into a ring. Rows are token by token and head by head, without
// padding: a warp has 16 heads of a token, or the heads of several tokens. Two thread blocks share a
// multiprocessor: while one warpgroup's scores become probabilities and sums, or its tokens choose, the
// products of three others run.
#pragma once

#include "nsa_core/cuda/prefill/boxes.cuh"
#include "nsa_core/cuda/prefill/importance.cuh"
#include "nsa_core/cuda/prefill/warpgroup/stage_ring.cuh"

namespace nsa::core::cuda {

inline constexpr int kTopNConsumers = 2 * kWarpgroupThreads / kWarpSize;
inline constexpr int kTopNThreads = 2 * kWarpgroupThreads + kWarpSize;  // with the producer warp

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
          barriers{*reinterpret_cast<StageBarriers<kTopNStages>*>(bytes + kTopNStages * kTileBytes)},
          importance{reinterpret_cast<float*>(&barriers + 1)} {
        static_assert(sizeof barriers == kTopNBarrierBytes);
    }

    [[nodiscard]] __device__ StageRing<kTopNStages> ring() const { return {barriers, keys, kTileBytes}; }

    std::uint32_t keys;
    StageBarriers<kTopNStages>& barriers;
    float* importance;
};

/// The producer warp: compressed tokens [0, visible).
template <class T, int kDk>
__device__ __forceinline__ void produce_keys(const ImportanceTopN& p, const TokenTile& tile, int visible,
                                             StageRing<kTopNStages> ring) {
    const Sequence compressed = compressed_rows_of(p.sequences, static_cast<int>(blockIdx.y));
    const T* keys = first_row<T>(p.k, compressed, tile.group, tile.packed);
    // Rows of the tile that are kWarpSize / 8 = 4 apart: token_of_key_row adds up.
    const auto tokens_after = [](int i) { return token_of_key_row(4 * i); };
#pragma unroll 1
    for (int left = visible; left > 0; left -= kCompressedTile) {
        ring.produce([&](std::uint32_t to) {
            copy_strided_boxes<T, kCompressedTile, kDk, kWarpSize>(
                to, lane_index(), keys, p.k.token, left, token_of_key_row(lane_index() / 8), tokens_after);
        });
        keys += kCompressedTile * p.k.token;
    }
}

/// 64 rows of a warpgroup, a warp's 16 of them, kHeads to a token.
template <class T, int kDk, int kHeads>
class TopNRows {
  public:
    __device__ __forceinline__ TopNRows(const ImportanceTopN& p, const TokenTile& tile,
                                        const KeyInterval& interval, const BlockWeights& weights,
                                        const ImportanceRows& importance)
        : log2_scale_{p.scale * kLog2E}, blocks_{p.shape, importance, weights, nullptr} {
        const auto token_of = [&](int row) { return min(importance.token + row / kHeads, tile.last()); };
        const auto head_of = [&](int row) { return tile.group * kHeads + row % kHeads; };
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = lane_index() / 4 + half * 8;
            log2_sum_[half] = p.lse[tile.row(token_of(row)) * p.shape.heads + head_of(row)] * kLog2E;
            seen_[half] = interval.of(token_of(row)).last;
        }
        load_rows<kDk>(q_, [&](int row) {
            return first_row<T>(p.q, tile.sequence, head_of(row), tile.packed) + token_of(row) * p.q.token;
        });
    }

    /// Compressed tokens [0, visible). All warps of the warpgroup call it together.
    __device__ __forceinline__ void consume(int visible, StageRing<kTopNStages> ring) {
#pragma unroll 1
        for (int first = 0; first < visible; first += kCompressedTile) {
            const int stage = ring.acquire();
            warpgroup_fence(s_, q_.a);
            warpgroup_rows<T, kDk>(s_, q_, right_operand<kDk, kCompressedTile>(ring.address(stage)),
                                   /*accumulate=*/false);
            warpgroup_commit();
            warpgroup_wait<0>(s_);
            ring.release(stage);
            make_probabilities(s_, log2_scale_, log2_sum_, {seen_[0] - first, seen_[1] - first});
            blocks_.add(s_);
        }
    }
    __device__ __forceinline__ void finish() const {
        blocks_.finish();
    }

  private:
    HeldBlocks<kDk, 1> q_;
    float s_[kCompressedTile / 8][4];
    float log2_scale_;
    float log2_sum_[2];
    int seen_[2];
    FourTokenBlocks<kHeads> blocks_;
};

/// On a multiprocessor. At dk = 192 the registers of two would serialise the products.
template <int kDk>
inline constexpr int kTopNBlocks = kDk > 128 ? 1 : 2;

template <class T, int kDk, int kHeads>
__global__ void __launch_bounds__(kTopNThreads, kTopNBlocks<kDk>)
    warpgroup_importance_top_n_kernel(const __grid_constant__ ImportanceTopN p, KeyInterval interval,
                                      BlockWeights weights) {
    constexpr int kWarpTokens = 16 / kHeads;
    const TokenTile tile = token_tile(p.sequences, p.shape, kTopNConsumers * kWarpTokens);
    if (tile.empty()) return;
    const TopNShared<kDk> shared{dynamic_shared<char>()};
    const int visible = __shfl_sync(0xffffffffU, interval.of(tile.last()).last, 0);
    const bool scored = !all_selected(p, tile) || p.importance != nullptr;
    if (scored) {
        if (threadIdx.x == 0) shared.barriers.init(kWarpSize, kTopNConsumers);
        __syncthreads();
    }
    // The same in all lanes, and for the compiler too.
    const int warp = __shfl_sync(0xffffffffU, warp_index(), 0);
    if (warp == kTopNConsumers) {
        if (scored) produce_keys<T, kDk>(p, tile, visible, shared.ring());
        return;
    }
    const int pitch = importance_pitch(p.shape);
    const int token = warp * kWarpTokens;
    const ImportanceRows importance{shared.importance + token * pitch, pitch, tile.first + token,
                                    tile.last()};
    if (scored) {
        TopNRows<T, kDk, kHeads> rows{p, tile, interval, weights, importance};
        rows.consume(visible, shared.ring());
        rows.finish();
        __syncwarp();
    }
#pragma unroll 1
    for (int i = 0; i < kWarpTokens && importance.token + i <= tile.last(); ++i)
        write_choice(p, tile, importance.token + i, importance.first + i * pitch);
}

}  // namespace nsa::core::cuda
