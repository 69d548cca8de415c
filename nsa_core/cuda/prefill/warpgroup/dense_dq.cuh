// dQ of a dense branch by warpgroups: each consumer holds 64 query rows and walks the keys that the thread
// block's tokens see, 48 at a time: of a window of 512 that wastes little, and Q, dO and dQ fit the registers
// beside the scores. The scores of the next step are under way while the arithmetic of this one is, and dP
// and dQ of this one behind them. Thread blocks take tile after tile; the producers copy Q and dO of the next
// while the consumers are at this one.
#pragma once

#include "nsa_core/cuda/prefill/row_terms.cuh"
#include "nsa_core/cuda/prefill/tile.cuh"
#include "nsa_core/cuda/prefill/warpgroup/backward.cuh"
#include "nsa_core/cuda/prefill/warpgroup/query_walk.cuh"

namespace nsa::core::cuda {

inline constexpr int kWarpgroupDqRows = kConsumers * kWarpgroupRows;  // of a thread block
inline constexpr int kWarpgroupDqKeys = 48;                           // of a step

template <int kDk, int kDv>
struct alignas(1024) WarpgroupDqShared {
    // Q and dO in registers let go of their tiles at once; dk = 192 has no room for them.
    static constexpr bool kHeld = kDk <= 128;
    static constexpr int kStages = kHeld ? 6 : 4;
    struct Stage {
        char k[BoxLayout<kDk>::bytes(kWarpgroupDqKeys)];
        char v[BoxLayout<kDv>::bytes(kWarpgroupDqKeys)];
    };
    char q[kConsumers][BoxLayout<kDk>::bytes(kWarpgroupRows)];
    char d_out[kConsumers][BoxLayout<kDv>::bytes(kWarpgroupRows)];
    Stage stages[kStages];
    RowTerms terms[kWarpgroupDqRows];
    StageBarriers<1> query_barriers;  // not kEveryLane, by which the compiler loses the warps' convergence
    StageBarriers<kStages> barriers;

    [[nodiscard]] __device__ __forceinline__ StageRing<1> queries() {
        return {query_barriers, shared_address(q), 0};
    }
    [[nodiscard]] __device__ __forceinline__ StageRing<kStages> ring() {
        return {barriers, shared_address(stages), sizeof(Stage)};
    }
    __device__ void init() {
        query_barriers.init(2 * kWarpgroupThreads, kConsumerWarps);
        barriers.init(kWarpgroupThreads, kConsumerWarps);
    }
};
static_assert(kWarpgroupDqRows == kWarpgroupThreads, "each producer fetches the terms of one row");

// The producers' part of a tile: its queries, then step after step of keys.
template <class T, int kDk, int kDv>
struct DqProducer {
    using Shared = WarpgroupDqShared<kDk, kDv>;
    const DenseBackward& p;
    GroupHeads heads;
    Shared& shared;
    StageRing<1> queries = shared.queries();
    StageRing<Shared::kStages> ring = shared.ring();
    bool packed = p.sequences.cu_tokens != nullptr;
    int thread = thread_of_warpgroup();

    __device__ __forceinline__ void operator()(const QueryItem& item) {
        const QueryTile& tile = item.tile;
        const int token = tile.first_token + heads.token(thread);
        const int head = (tile.group << heads.log2) + heads.head(thread);
        const LoadedTerms<T> loaded =
            token <= tile.last_token ? load_terms<T>(p, item.tokens.first + token, head) : LoadedTerms<T>{};
        (void)queries.claim();
        shared.terms[thread] = loaded.terms();
        queries.stored();
        copy_queries<kDk>(shared.q, p.q, item);
        copy_queries<kDv>(shared.d_out, p.d_out, item);
        queries.hand_over();
        if (p.add_to_d_q && token <= tile.last_token) fetch_sums(item, token, head);

        const T* const k = first_row<T>(p.k, item.keys, tile.group, packed);
        const T* const v = first_row<T>(p.v, item.keys, tile.group, packed);
#pragma unroll 1
        for (int key = tile.keys.first; key < tile.keys.last; key += kWarpgroupDqKeys) {
            auto& stage = shared.stages[ring.claim()];
            copy_keys<kDk>(stage.k, k + key * p.k.token, p.k.token, tile.keys.last - key);
            copy_keys<kDv>(stage.v, v + key * p.v.token, p.v.token, tile.keys.last - key);
            ring.hand_over();
        }
    }

  private:
    template <int kWidth, int kBytes>
    __device__ __forceinline__ void copy_queries(char (&to)[kConsumers][kBytes], const ConstRows& from,
                                                 const QueryItem& item) const {
        const QueryTile& tile = item.tile;
        const T* const first = first_row<T>(from, item.tokens, tile.group << heads.log2, packed);
        const QueryRows<T> rows{first, from, heads, thread};
        const int count = (tile.last_token + 1 - tile.first_token) << heads.log2;
#pragma unroll
        for (int consumer = 0; consumer < kConsumers; ++consumer)
            rows.template copy_adjacent<kWidth, kWarpgroupRows>(
                shared_address(to[consumer]), tile.first_token, consumer * kWarpgroupRows, count);
    }
    template <int kWidth>
    __device__ __forceinline__ void copy_keys(char* to, const T* rows, std::int64_t stride, int count) const {
        copy_strided_boxes<T, kWarpgroupDqKeys, kWidth, kWarpgroupThreads>(
            shared_address(to), thread, rows, stride, count, thread / 8,
            [](int i) { return i * (kWarpgroupThreads / 8); });
    }
    // What dQ is added to will be in the L2 when the consumers come to it.
    __device__ __forceinline__ void fetch_sums(const QueryItem& item, int token, int head) const {
        const T* const row = first_row<T>(p.d_q, item.tokens, head, packed) + token * p.d_q.token;
#pragma unroll
        for (int column = 0; column < kDk; column += 64)
            prefetch_line(row + column);
    }
};

// Rows of a tile as the left operand of a product over its columns: in registers, or where they lie.
template <bool kHeld, int kWidth>
struct LeftRows;
template <int kWidth>
struct LeftRows<true, kWidth> {
    std::uint32_t steps[kWidth / 16][4];

    __device__ __forceinline__ void load(const char* tile) {
        using Layout = BoxLayout<kWidth>;
        const int row = warp_of_warpgroup() * 16 + lane_index() % 16;
#pragma unroll
        for (int step = 0; step < kWidth / 16; ++step)
            load_matrices(steps[step], shared_address(tile) +
                                           static_cast<std::uint32_t>(Layout::template offset<kWarpgroupRows>(
                                               row, 2 * step + lane_index() / 16)));
    }
    [[nodiscard]] __device__ __forceinline__ const auto& operand() const {
        return steps;
    }
    template <class Sums>
    __device__ __forceinline__ void fence(Sums& sums) {
        warpgroup_fence(steps, sums);
    }
};
template <int kWidth>
struct LeftRows<false, kWidth> {
    BoxRows<kWidth, kWarpgroupRows> rows;

    __device__ __forceinline__ void load(const char* tile) {
        rows = left_operand<kWidth, kWarpgroupRows>(shared_address(tile));
    }
    [[nodiscard]] __device__ __forceinline__ const auto& operand() const { return rows; }
    template <class Sums>
    __device__ __forceinline__ void fence(Sums& sums) {
        warpgroup_fence(sums);
    }
};

// s becomes P, in the other array: the next scores are made while it is used.
template <int kN>
__device__ __forceinline__ void probabilities(const float (&s)[1][kN][4], float (&p)[1][kN][4],
                                              const RowTerms (&terms)[2], float log2_scale) {
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            p[0][n][i] = exp2_fast(fmaf(s[0][n][i], log2_scale, -terms[i / 2].lse));
}
// `packed` becomes dS = P (gate dP - delta).
template <class T, int kN>
__device__ __forceinline__ void score_gradients(const float (&p)[1][kN][4], const float (&dp)[1][kN][4],
                                                std::uint32_t (&packed)[1][kN / 2][4],
                                                const RowTerms (&terms)[2]) {
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const RowTerms& row = terms[half];
            packed[0][n / 2][n % 2 * 2 + half] =
                Half<T>::pack(p[0][n][2 * half] * fmaf(row.gate, dp[0][n][2 * half], -row.delta),
                              p[0][n][2 * half + 1] * fmaf(row.gate, dp[0][n][2 * half + 1], -row.delta));
        }
}

// A consumer's part of a tile: dQ of its 64 rows.
template <class T, int kDk, int kDv>
struct DqConsumer {
    using Shared = WarpgroupDqShared<kDk, kDv>;
    static constexpr int kTiles = kWarpgroupDqKeys / 8;
    const DenseBackward& p;
    const KeyInterval& interval;
    GroupHeads heads;
    Shared& shared;
    int consumer;
    StageRing<1> queries = shared.queries();
    StageRing<Shared::kStages> ring = shared.ring();
    int warp_row = consumer * kWarpgroupRows + warp_of_warpgroup() * 16;

    __device__ __forceinline__ void operator()(const QueryItem& item) {
        (void)queries.acquire();
        LeftQ q;
        LeftDOut d_out;
        q.load(shared.q[consumer]);
        d_out.load(shared.d_out[consumer]);
        const RowTerms terms[2] = {shared.terms[warp_row + lane_index() / 4],
                                   shared.terms[warp_row + 8 + lane_index() / 4]};
        if (Shared::kHeld) queries.release(0);
        float dq[1][kDk / 8][4];
        clear(dq);
        const auto row_of = rows_of(item);
        std::uint32_t ds[1][kTiles / 2][4];
        int last = -1;
        if (!item.sees_nothing()) last = start_sum(item.tile, q, d_out, terms, dq, ds);
        const auto finish_sum = [&] {
            warpgroup_wait<0>(dq, ds);
            if (last >= 0) ring.release(last);
            if (!Shared::kHeld) queries.release(0);
        };
        if (p.add_to_d_q) {
            OldRows<T, kDk / 8> old;
            old.fetch(row_of);  // beside the last product
            finish_sum();
            old.store_sum(dq, p.scale, row_of);
        } else {
            finish_sum();
            store_accumulators<T>(dq, p.scale, row_of);
        }
    }

  private:
    using LeftQ = LeftRows<Shared::kHeld, kDk>;
    using LeftDOut = LeftRows<Shared::kHeld, kDv>;

    // Issues the scores of the next stage, and says which that is.
    [[nodiscard]] __device__ __forceinline__ int start_scores(LeftQ& q, float (&s)[1][kTiles][4]) {
        const int stage = ring.acquire();
        q.fence(s);
        warpgroup_rows<T>(s[0], q.operand(),
                          right_operand<kDk, kWarpgroupDqKeys>(shared_address(shared.stages[stage].k)),
                          false);
        warpgroup_commit();
        return stage;
    }
    // All but the end of the last product, which reads `ds` and the stage that is returned.
    [[nodiscard]] __device__ __forceinline__ int start_sum(const QueryTile& tile, LeftQ& q, LeftDOut& d_out,
                                                           const RowTerms (&terms)[2],
                                                           float (&dq)[1][kDk / 8][4],
                                                           std::uint32_t (&ds)[1][kTiles / 2][4]) {
        const float log2_scale = p.scale * kLog2E;
        float s[1][kTiles][4];
        float probability[1][kTiles][4];
        float dp[1][kTiles][4];
        int stage = start_scores(q, s);
        int before = -1;  // the stage that dQ, under way, still reads
        warpgroup_wait<0>(s);
        // With s made, and dQ of the step before perhaps under way.
        const auto step = [&](int key, auto is_last) {
            const std::uint32_t k = shared_address(shared.stages[stage].k);
            d_out.fence(dp);
            warpgroup_rows<T>(dp[0], d_out.operand(),
                              right_operand<kDv, kWarpgroupDqKeys>(shared_address(shared.stages[stage].v)),
                              false);
            warpgroup_commit();
            if (!tile.whole(key, kWarpgroupDqKeys))
                hide_keys(s, key, [&](int row) {
                    return interval.of(tile.first_token + heads.token(warp_row + row));
                });
            probabilities(s, probability, terms, log2_scale);
            const int here = stage;
            if constexpr (!is_last()) stage = start_scores(q, s);
            warpgroup_wait<is_last() ? 0 : 1>(dp, dq, ds);
            if (before >= 0) ring.release(before);
            before = here;
            score_gradients<T>(probability, dp, ds, terms);
            warpgroup_fence(ds, dq);
            warpgroup_columns<T>(dq[0], ds[0], right_columns<kDk, kWarpgroupDqKeys>(k));
            warpgroup_commit();
            if constexpr (!is_last()) warpgroup_wait<1>(s);
        };
        int key = tile.keys.first;
#pragma unroll 1
        for (; key + kWarpgroupDqKeys < tile.keys.last; key += kWarpgroupDqKeys)
            step(key, std::false_type{});
        step(key, std::true_type{});
        return before;
    }
    // row_of(r): dQ of row r of the warp, or null.
    [[nodiscard]] __device__ __forceinline__ auto rows_of(const QueryItem& item) const {
        T* const rows =
            first_row<T>(p.d_q, item.tokens, item.tile.group << heads.log2, p.sequences.cu_tokens != nullptr);
        return [this, rows, &tile = item.tile](int row) -> T* {
            const int token = tile.first_token + heads.token(warp_row + row);
            return token <= tile.last_token
                       ? rows + token * p.d_q.token + heads.head(warp_row + row) * p.d_q.head
                       : nullptr;
        };
    }
};

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kRoleThreads, 1)
    warpgroup_dq_kernel(const __grid_constant__ DenseBackward p, const __grid_constant__ KeyInterval interval,
                        GroupHeads heads, const __grid_constant__ QueryTiles tiles) {
    auto& shared = *dynamic_shared<WarpgroupDqShared<kDk, kDv>>();
    if (threadIdx.x == 0) shared.init();
    __syncthreads();
    QueryWalk walk{p, interval, tiles};
    QueryItem item;
    const int consumer = warpgroup_index();
    if (consumer == kConsumers) {
        release_registers<kProducerRegisters>();
        DqProducer<T, kDk, kDv> produce{p, heads, shared};
        while (walk.next(item))
            produce(item);
    } else {
        claim_registers<kConsumerRegisters>();
        DqConsumer<T, kDk, kDv> consume{p, interval, heads, shared, consumer};
        while (walk.next(item))
            consume(item);
    }
}

}  // namespace nsa::core::cuda
