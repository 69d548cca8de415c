// Forward of a dense branch with wgmma (sm_90a). A thread block owns one tile of 128 query rows of a group
// after the other. A warpgroup copies queries, keys and values into rings of stages; two warpgroups own 64
// rows each. Their tiles of keys form one stream, also across query tiles: the scores of the next tile are
// made while the values of this one are summed, and the softmax of the next runs beside that sum.
#pragma once

#include "nsa_core/cuda/device_limits.hpp"
#include "nsa_core/cuda/prefill/dense_results.cuh"
#include "nsa_core/cuda/prefill/warpgroup/query_walk.cuh"
#include "nsa_core/cuda/prefill/warpgroup/roles.cuh"
#include "nsa_core/cuda/prefill/warpgroup/stage_ring.cuh"

namespace nsa::core::cuda {

inline constexpr int kForwardRows = kConsumers * kWarpgroupRows;
// Of 168 a thread at launch; (2 * 224 + 56) * 128 is as many.
inline constexpr int kForwardRegisters = 224;
inline constexpr int kForwardCopyRegisters = 56;
inline constexpr int kForwardQueryStages = 2;  // the next queries arrive while outputs are staged in these
inline constexpr int kForwardSharedLimit = shared_memory_limit(90);

template <int kDk, int kDv, int kKeys>
struct alignas(1024) WarpgroupForwardShared {
    static constexpr int kQueryBytes = BoxLayout<kDk>::bytes(kWarpgroupRows);  // of a warpgroup
    static constexpr int kKeyBytes = BoxLayout<kDk>::bytes(kKeys);
    static constexpr int kValueBytes = BoxLayout<kDv>::bytes(kKeys);
    static constexpr int kFit =
        (kForwardSharedLimit - kForwardQueryStages * kConsumers * kQueryBytes - 1024) /
        (kKeyBytes + kValueBytes);
    static constexpr int kStages = kFit < 4 ? kFit : 4;
    static_assert(kStages >= 2, "one to be filled and one to be used");

    char q[kForwardQueryStages][kConsumers][kQueryBytes];  // after their use, staging of the outputs
    char k[kStages][kKeyBytes];
    char v[kStages][kValueBytes];
    StageBarriers<kForwardQueryStages> q_barriers;
    StageBarriers<kStages> k_barriers;
    StageBarriers<kStages> v_barriers;
};

// One side's view of the three rings.
template <int kDk, int kDv, int kKeys>
struct ForwardRings {
    using Shared = WarpgroupForwardShared<kDk, kDv, kKeys>;
    StageRing<kForwardQueryStages> q;
    StageRing<Shared::kStages> k;
    StageRing<Shared::kStages> v;

    __device__ explicit ForwardRings(Shared& shared)
        : q{shared.q_barriers, shared_address(shared.q), sizeof shared.q[0]},
          k{shared.k_barriers, shared_address(shared.k), Shared::kKeyBytes},
          v{shared.v_barriers, shared_address(shared.v), Shared::kValueBytes} {}
};

// The producer's part, in the order in which consumers ask: keys run a tile ahead of values.
template <class T, int kDk, int kDv, int kKeys>
__device__ __forceinline__ void produce_tiles(const DenseForward& p, QueryWalk& walk, const GroupHeads& heads,
                                              ForwardRings<kDk, kDv, kKeys>& rings, int thread) {
    const bool packed = p.sequences.cu_tokens != nullptr;
    QueryItem item;
    while (walk.next(item)) {
        if (item.sees_nothing()) continue;
        const QueryTile& tile = item.tile;
        const T* const q = first_row<T>(p.q, item.tokens, tile.group << heads.log2, packed);
        const T* const k = first_row<T>(p.k, item.keys, tile.group, packed);
        const T* const v = first_row<T>(p.v, item.keys, tile.group, packed);
        const auto copy_tile = [&]<int kWidth>(std::uint32_t to, const T* rows, std::int64_t stride,
                                               int first) {
            copy_strided_boxes<T, kKeys, kWidth, kWarpgroupThreads>(
                to, thread, rows + first * stride, stride, tile.keys.last - first, thread / 8,
                [](int i) { return i * (kWarpgroupThreads / 8); });
        };
        const auto load_values = [&](int first) {
            rings.v.produce(
                [&](std::uint32_t to) { copy_tile.template operator()<kDv>(to, v, p.v.token, first); });
        };
        rings.q.produce([&](std::uint32_t to) {
#pragma unroll
            for (int half = 0; half < kConsumers; ++half)
                copy_boxes<T, kWarpgroupRows, kDk, kWarpgroupThreads>(
                    to + half * BoxLayout<kDk>::bytes(kWarpgroupRows), thread, [&](int row) -> const T* {
                        row += half * kWarpgroupRows;
                        const int token = tile.first_token + heads.token(row);
                        return token <= tile.last_token ? q + token * p.q.token + heads.head(row) * p.q.head
                                                        : nullptr;
                    });
        });
        int key = tile.keys.first;
#pragma unroll 1
        for (; key < tile.keys.last; key += kKeys) {
            rings.k.produce(
                [&](std::uint32_t to) { copy_tile.template operator()<kDk>(to, k, p.k.token, key); });
            if (key > tile.keys.first) load_values(key - kKeys);
        }
        load_values(key - kKeys);
    }
}

// A warpgroup's 64 rows of a tile whose queries see nothing.
template <class T, int kDv>
__device__ __forceinline__ void write_nothing(const DenseForward& p, const QueryItem& item,
                                              const GroupHeads& heads, int first_row_of_group, int thread) {
    constexpr int kPieces = kDv / 8;
    const int head = item.tile.group << heads.log2;
    T* const out = first_row<T>(p.out, item.tokens, head, p.sequences.cu_tokens != nullptr);
    for (int at = thread; at < kWarpgroupRows * kPieces; at += kWarpgroupThreads) {
        const int row = first_row_of_group + at / kPieces;
        const int token = item.tile.first_token + heads.token(row);
        if (token > item.tile.last_token) break;
        *reinterpret_cast<uint4*>(out + token * p.out.token + heads.head(row) * p.out.head +
                                  at % kPieces * 8) = uint4{};
        if (at % kPieces == 0)
            p.lse[(item.tokens.first + token) * p.shape.heads + head + heads.head(row)] = -INFINITY;
    }
}

// The compiler moves a wait for products ahead of arithmetic that does not depend on them, and nothing would
// run beside them: a branch on the results, which is never taken, keeps the wait behind.
__device__ __forceinline__ void hold_back(const RowStates<1>& rows) {
    if (rows.sum[0][0] + rows.sum[0][1] < 0.0F) __trap();
}

// A consumer warpgroup's part.
template <class T, int kDk, int kDv, int kKeys>
class ForwardConsumer {
  public:
    using Shared = WarpgroupForwardShared<kDk, kDv, kKeys>;

    __device__ ForwardConsumer(const DenseForward& p, const KeyInterval& interval, const GroupHeads& heads,
                               const QueryTiles& tiles, Shared& shared, int warpgroup)
        : p_{p},
          interval_{interval},
          heads_{heads},
          shared_{shared},
          rings_{shared},
          walk_{p, interval, tiles},
          warpgroup_{warpgroup},
          log2_scale_{p.scale * kLog2E} {}

    __device__ __forceinline__ void run() {
        if (!next_item()) return;
        float out[1][kDv / 8][4];
        float s[1][kKeys / 8][4];
        std::uint32_t weights[1][kKeys / 16][4];
        float shrink[1][2];
        RowStates<1> rows;
        rows.restart();
        start_scores(s);
        warpgroup_wait<0>(s);
        rings_.k.release(k_stage_);
        hide(s);
        (void)raise_maxima(s, rows, shrink, log2_scale_);
        exponentiate(s, rows, log2_scale_);
        pack_left<T>(s, weights);

        Summed summed{};
        bool continues = false;  // `out` holds sums of this query tile
        while (true) {
            summed = {item_, rows, q_stage_};
            key_ += kKeys;
            const bool ends = key_ >= item_.tile.keys.last;
            if (ends) {
                if (!next_item()) break;
                rows.restart();
            }
            start_scores(s);
            start_sums(out, weights, continues);
            warpgroup_wait<1>(s);
            rings_.k.release(k_stage_);
            hide(s);
            const bool grown = raise_maxima(s, rows, shrink, log2_scale_);
            exponentiate(s, rows, log2_scale_);
            hold_back(rows);
            warpgroup_wait<0>(out, weights);
            rings_.v.release(v_stage_);
            if (ends) {
                write(summed, out);
            } else if (grown) {
                scale_rows(out, shrink);
            }
            continues = !ends;
            pack_left<T>(s, weights);
        }
        start_sums(out, weights, continues);
        warpgroup_wait<0>(out, weights);
        write(summed, out);
    }

  private:
    // What the sums in registers belong to, when the scores are a tile ahead.
    struct Summed {
        QueryItem item;
        RowStates<1> rows;
        int q_stage;
    };

    // On to the next query tile that sees keys.
    __device__ __forceinline__ bool next_item() {
        while (walk_.next(item_)) {
            if (!item_.sees_nothing()) {
                key_ = item_.tile.keys.first;
                q_stage_ = rings_.q.acquire();
                return true;
            }
            write_nothing<T, kDv>(p_, item_, heads_, warpgroup_ * kWarpgroupRows,
                                  static_cast<int>(threadIdx.x) % kWarpgroupThreads);
        }
        return false;
    }

    __device__ __forceinline__ void start_scores(float (&s)[1][kKeys / 8][4]) {
        k_stage_ = rings_.k.acquire();
        warpgroup_fence(s);
        warpgroup_rows<T>(
            s[0],
            left_operand<kDk, kWarpgroupRows>(rings_.q.address(q_stage_) +
                                              static_cast<std::uint32_t>(warpgroup_ * Shared::kQueryBytes)),
            right_operand<kDk, kKeys>(rings_.k.address(k_stage_)), /*accumulate=*/false);
        warpgroup_commit();
    }
    __device__ __forceinline__ void start_sums(float (&out)[1][kDv / 8][4],
                                               std::uint32_t (&weights)[1][kKeys / 16][4], bool continues) {
        v_stage_ = rings_.v.acquire();
        warpgroup_fence(out, weights);
        warpgroup_columns<T>(out[0], weights[0], right_columns<kDv, kKeys>(rings_.v.address(v_stage_)),
                             continues);
        warpgroup_commit();
    }

    [[nodiscard]] __device__ int warp_row() const {
        return warpgroup_ * kWarpgroupRows + warp_index() % 4 * 16;
    }
    __device__ __forceinline__ void hide(float (&s)[1][kKeys / 8][4]) const {
        const auto interval_of_row = [this](int row) {
            return interval_.of(item_.tile.first_token + heads_.token(warp_row() + row));
        };
        if (key_ < item_.tile.common.first) hide_keys_at_end<true>(s[0], key_, interval_of_row);
        if (key_ + kKeys > item_.tile.common.last) hide_keys_at_end<false>(s[0], key_, interval_of_row);
    }

    __device__ __forceinline__ void write(const Summed& summed, const float (&out)[1][kDv / 8][4]) {
        group_sync(1 + warpgroup_, kWarpgroupThreads);  // no warp's product reads these queries any more
        write_results<T>(
            p_, summed.item.tokens, summed.item.tile, heads_, warp_row(), summed.rows, out,
            shared_.q[summed.q_stage][warpgroup_] + warp_index() % 4 * TileLayout<kDv>::bytes(16));
        rings_.q.release(summed.q_stage);
    }

    const DenseForward& p_;
    const KeyInterval& interval_;
    const GroupHeads& heads_;
    Shared& shared_;
    ForwardRings<kDk, kDv, kKeys> rings_;
    QueryWalk walk_;
    int warpgroup_;
    float log2_scale_;
    // Of the scores under way.
    QueryItem item_{};
    int key_ = 0;
    int q_stage_ = 0;
    int k_stage_ = 0;
    int v_stage_ = 0;  // of the values
};

template <class T, int kDk, int kDv, int kKeys>
__global__ void __launch_bounds__(kRoleThreads, 1)
    warpgroup_forward_kernel(const __grid_constant__ DenseForward p, KeyInterval interval, GroupHeads heads,
                             const __grid_constant__ QueryTiles tiles) {
    using Shared = WarpgroupForwardShared<kDk, kDv, kKeys>;
    auto& shared = *dynamic_shared<Shared>();
    if (threadIdx.x == 0) {
        shared.q_barriers.init(kWarpgroupThreads, kConsumerWarps);
        shared.k_barriers.init(kWarpgroupThreads, kConsumerWarps);
        shared.v_barriers.init(kWarpgroupThreads, kConsumerWarps);
    }
    __syncthreads();
    const int warpgroup = warpgroup_index();
    if (warpgroup == kConsumers) {
        release_registers<kForwardCopyRegisters>();
        QueryWalk walk{p, interval, tiles};
        ForwardRings<kDk, kDv, kKeys> rings{shared};
        produce_tiles<T>(p, walk, heads, rings, static_cast<int>(threadIdx.x) % kWarpgroupThreads);
    } else {
        claim_registers<kForwardRegisters>();
        ForwardConsumer<T, kDk, kDv, kKeys>{p, interval, heads, tiles, shared, warpgroup}.run();
    }
}

}  // namespace nsa::core::cuda
