// importance_top_n by the products of a warpgroup (sm_90a). It has two halves of 64 rows: while one half's
// scores become probabilities and sums, the product of the other runs. A producer warp copies the tiles of
// compressed keys into a ring. Rows are token by token and head by head, without padding: a warp has 16 heads
// of a token, or the heads of several tokens. Two thread blocks share a multiprocessor, so that one's
// beginning and choice of blocks have products beside them.
#pragma once

#include "nsa_core/cuda/prefill/boxes.cuh"
#include "nsa_core/cuda/prefill/importance.cuh"
#include "nsa_core/cuda/prefill/warpgroup/stage_ring.cuh"

namespace nsa::core::cuda {

inline constexpr int kTopNConsumers = kWarpgroupThreads / kWarpSize;
inline constexpr int kTopNThreads = kWarpgroupThreads + kWarpSize;  // with the producer warp

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

/// 64 rows of the warpgroup, a warp's 16 of them, kHeads to a token.
template <class T, int kDk, int kHeads>
class TopNHalf {
  public:
    __device__ __forceinline__ TopNHalf(const ImportanceTopN& p, const TokenTile& tile,
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

    /// The product with a tile of keys. All warps of the warpgroup call it together.
    __device__ __forceinline__ void start_scores(std::uint32_t keys) {
        warpgroup_fence(s_, q_.a);
        warpgroup_rows<T, kDk>(s_, q_, right_operand<kDk, kCompressedTile>(keys), /*accumulate=*/false);
        warpgroup_commit();
    }
    /// Until no product is under way.
    __device__ __forceinline__ void wait() {
        warpgroup_wait<0>(s_);
    }
    /// Scores of the tile from compressed token `first` on become importance.
    __device__ __forceinline__ void add(int first) {
        make_probabilities(s_, log2_scale_, log2_sum_, {seen_[0] - first, seen_[1] - first});
        blocks_.add(s_);
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

/// Compressed tokens [0, visible), which is not empty, through both halves. No product is under way where the
/// loop closes: ptxas would let none run beside other instructions.
template <class Half>
__device__ __forceinline__ void consume_keys(int visible, StageRing<kTopNStages> ring, Half& one,
                                             Half& other) {
    int stage = ring.acquire();
    one.start_scores(ring.address(stage));
    one.wait();
    int first = 0;
#pragma unroll 1
    while (true) {
        other.start_scores(ring.address(stage));
        one.add(first);
        other.wait();
        ring.release(stage);
        if (first + kCompressedTile >= visible) break;
        stage = ring.acquire();
        one.start_scores(ring.address(stage));
        other.add(first);
        one.wait();
        first += kCompressedTile;
    }
    other.add(first);
}

/// On a multiprocessor. At dk = 192 the registers of two would serialise the products.
template <int kDk>
inline constexpr int kTopNBlocks = kDk > 128 ? 1 : 2;

template <class T, int kDk, int kHeads>
__global__ void __launch_bounds__(kTopNThreads, kTopNBlocks<kDk>)
    warpgroup_importance_top_n_kernel(const __grid_constant__ ImportanceTopN p, KeyInterval interval,
                                      BlockWeights weights) {
    constexpr int kWarpTokens = 16 / kHeads;  // of a half
    constexpr int kHalfTokens = kTopNConsumers * kWarpTokens;
    const TokenTile tile = token_tile(p.sequences, p.shape, 2 * kHalfTokens);
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
    const auto rows_of = [&](int half) {
        const int token = half * kHalfTokens + warp * kWarpTokens;
        return ImportanceRows{shared.importance + token * pitch, pitch, tile.first + token, tile.last()};
    };
    if (scored) {
        using Half = TopNHalf<T, kDk, kHeads>;
        Half one{p, tile, interval, weights, rows_of(0)};
        Half other{p, tile, interval, weights, rows_of(1)};
        if (visible > 0) consume_keys(visible, shared.ring(), one, other);
        one.finish();
        other.finish();
        __syncwarp();
    }
#pragma unroll 1
    for (int half = 0; half < 2; ++half) {
        const ImportanceRows rows = rows_of(half);
#pragma unroll 1
        for (int i = 0; i < kWarpTokens && rows.token + i <= tile.last(); ++i)
            write_choice(p, tile, rows.token + i, rows.first + i * pitch);
    }
}

}  // namespace nsa::core::cuda
