// dK and dV of a tile of 128 keys by warpgroups: each consumer holds 64 keys and walks the query rows of all
// tokens that see them, 64 rows at a time. Scores are made transposed, Sᵀ = K Qᵀ and dPᵀ = V dOᵀ, so that P
// and dS are, packed, the left operands of dV += Pᵀ dO and dK += dSᵀ Q: no score passes through shared
// memory. While one product runs the arithmetic that the one ahead of it made possible does: P beside dP, dS
// beside dV.
//
// Items and plans are those of dkdv.cuh; an item must also say which of its tokens see some keys, and a plan
// whether it gives 128 keys, or 64 (kOneTile): then both consumers hold these and take every second step.
#pragma once

#include "nsa_core/cuda/prefill/dkdv.cuh"
#include "nsa_core/cuda/prefill/interval.hpp"
#include "nsa_core/cuda/prefill/warpgroup/backward.cuh"

namespace nsa::core::cuda {

inline constexpr int kConsumerKeys = kWarpgroupRows;
inline constexpr int kWarpgroupKeys = kConsumers * kConsumerKeys;  // of a thread block

template <int kDk, int kDv, class Plan>
struct alignas(1024) WarpgroupDkdvShared {
    using Item = decltype(std::declval<Plan>().item(std::declval<const DenseBackward&>(),
                                                    std::declval<const GroupHeads&>(),
                                                    std::declval<typename Plan::Shared&>()));
    static constexpr int kRows = kDkdvRows<kDk>;
    static constexpr int kStages = 4;  // a multiple of the consumers: in turn, each always has the same
    static constexpr bool kOneTile = Plan::kOneTile;
    static constexpr int kTiles = kOneTile ? 1 : kConsumers;
    struct Stage {
        char q[BoxLayout<kDk>::bytes(kRows)];
        char d_out[BoxLayout<kDv>::bytes(kRows)];
    };
    char k[kTiles][BoxLayout<kDk>::bytes(kConsumerKeys)];
    char v[kTiles][BoxLayout<kDv>::bytes(kConsumerKeys)];
    Stage stages[kStages];
    StepTerms<kRows> terms[kStages];
    StageBarriers<kStages> barriers;
    std::uint64_t keys_full;
    Item item;  // here, because the consumers have no registers to keep it in
    typename Plan::Shared plan;

    [[nodiscard]] __device__ __forceinline__ StageRing<kStages> ring() {
        return {barriers, shared_address(stages), sizeof(Stage)};
    }
    __device__ void init() {
        barriers.init(kWarpgroupThreads + kRows, kOneTile ? kConsumerWarps / kConsumers : kConsumerWarps);
        barrier_init(&keys_full, kWarpgroupThreads);
    }
};

// The producers' part: keys and values, then step after step of query rows.
template <class T, int kDk, int kDv, class Shared>
__device__ __forceinline__ void copy_steps(Shared& shared, const DenseBackward& p, GroupHeads heads) {
    constexpr int kRows = Shared::kRows;
    const auto item = shared.item;
    const int thread = thread_of_warpgroup();
    const bool packed = p.sequences.cu_tokens != nullptr;
    const int head = item.group << heads.log2;
    const int rows = item.count << heads.log2;
    const auto copy_keys = [&](auto width, char* to, const ConstRows& from, int tile) {
        const T* const first =
            first_row<T>(from, item.keys, item.group, packed) + item.first_key * from.token;
        copy_boxes<T, kConsumerKeys, width(), kWarpgroupThreads>(
            shared_address(to), thread, [&](int row) -> const T* {
                const int key = tile * kConsumerKeys + row;
                return key < item.key_count ? first + key * from.token : nullptr;
            });
    };
    const T* const q = first_row<T>(p.q, item.tokens, head, packed);
    const T* const d_out = first_row<T>(p.d_out, item.tokens, head, packed);
    const auto copy_rows_of = [&](auto width, char* to, const T* base, const ConstRows& from, int first) {
        copy_boxes<T, kRows, width(), kWarpgroupThreads>(
            shared_address(to), thread, [&](int row) -> const T* {
                const int at = first + row;
                return at < rows
                           ? base + item.token(heads.token(at)) * from.token + heads.head(at) * from.head
                           : nullptr;
            });
    };
    const auto fetch_terms = [&](int first) {
        const int at = first + thread;
        return thread < kRows && at < rows
                   ? load_terms<T>(p, item.tokens.first + item.token(heads.token(at)), head + heads.head(at))
                   : LoadedTerms<T>{};
    };
    constexpr std::integral_constant<int, kDk> kKeyWidth;
    constexpr std::integral_constant<int, kDv> kValueWidth;
    LoadedTerms<T> loaded = fetch_terms(0);
#pragma unroll
    for (int tile = 0; tile < Shared::kTiles; ++tile) {
        copy_keys(kKeyWidth, shared.k[tile], p.k, tile);
        copy_keys(kValueWidth, shared.v[tile], p.v, tile);
    }
    barrier_arrive_after_copies(&shared.keys_full);
    auto ring = shared.ring();
#pragma unroll 1
    for (int first = 0; first < rows; first += kRows) {
        const int stage = ring.claim();
        if (thread < kRows) {
            const RowTerms terms = loaded.terms();
            shared.terms[stage].lse[thread] = terms.lse;
            shared.terms[stage].delta[thread] = terms.delta;
            shared.terms[stage].gate[thread] = terms.gate;
            ring.stored();
        }
        copy_rows_of(kKeyWidth, shared.stages[stage].q, q, p.q, first);
        copy_rows_of(kValueWidth, shared.stages[stage].d_out, d_out, p.d_out, first);
        ring.hand_over();
        loaded = fetch_terms(first + kRows);
    }
}

// Hides rows outside their key's interval. s is keys by rows: row `first_row` + 8 n + 2 (lane % 4) + i % 2;
// seeing[half]: the rows that see this lane's key of that half.
template <int kN>
__device__ __forceinline__ void hide_columns(float (&s)[1][kN][4], const Interval (&seeing)[2],
                                             int first_row) {
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = first_row + 8 * n + lane_index() % 4 * 2 + i % 2;
            if (row < seeing[i / 2].first || row >= seeing[i / 2].last) s[0][n][i] = -INFINITY;
        }
}

// s becomes P, and `packed` gate P.
template <class T, int kN, int kRows>
__device__ __forceinline__ void transposed_probabilities(float (&s)[1][kN][4],
                                                         std::uint32_t (&packed)[1][kN / 2][4],
                                                         const StepTerms<kRows>& terms, float log2_scale) {
#pragma unroll
    for (int n = 0; n < kN; ++n) {
        const int row = 8 * n + lane_index() % 4 * 2;
        const float2 lse = *reinterpret_cast<const float2*>(&terms.lse[row]);
        const float2 gate = *reinterpret_cast<const float2*>(&terms.gate[row]);
#pragma unroll
        for (int i = 0; i < 4; ++i)
            s[0][n][i] = exp2_fast(fmaf(s[0][n][i], log2_scale, i % 2 == 0 ? -lse.x : -lse.y));
#pragma unroll
        for (int half = 0; half < 2; ++half)
            packed[0][n / 2][n % 2 * 2 + half] =
                Half<T>::pack(s[0][n][2 * half] * gate.x, s[0][n][2 * half + 1] * gate.y);
    }
}

// P becomes dS = P (gate dP - delta).
template <int kN, int kRows>
__device__ __forceinline__ void transposed_score_gradients(float (&p)[1][kN][4], const float (&dp)[1][kN][4],
                                                           const StepTerms<kRows>& terms) {
#pragma unroll
    for (int n = 0; n < kN; ++n) {
        const int row = 8 * n + lane_index() % 4 * 2;
        const float2 delta = *reinterpret_cast<const float2*>(&terms.delta[row]);
        const float2 gate = *reinterpret_cast<const float2*>(&terms.gate[row]);
#pragma unroll
        for (int i = 0; i < 4; ++i)
            p[0][n][i] *= fmaf(i % 2 == 0 ? gate.x : gate.y, dp[0][n][i], i % 2 == 0 ? -delta.x : -delta.y);
    }
}

// A consumer's steps [begin, end) of its item, and the passing of the others.
struct Steps {
    int begin;
    int end;
    int all;
};

// The consumers' part but for the end: dK and dV of the consumer's keys, summed.
template <class T, int kDk, int kDv, class Shared>
__device__ __forceinline__ void sum_gradients(Shared& shared, GroupHeads heads, float log2_scale,
                                              int consumer, float (&dk)[1][kDk / 8][4],
                                              float (&dv)[1][kDv / 8][4]) {
    constexpr int kRows = Shared::kRows;
    const auto rows_seeing = [&](int first, int last) {
        const Interval tokens = shared.item.seeing(first, last);
        return Interval{tokens.first << heads.log2, tokens.last << heads.log2};
    };
    const int tile = Shared::kOneTile ? 0 : consumer;
    const int first_key = shared.item.first_key + tile * kConsumerKeys;
    const int last_key = min(first_key + kConsumerKeys, shared.item.first_key + shared.item.key_count);
    Steps steps{0, 0, ((shared.item.count << heads.log2) + kRows - 1) / kRows};
    Interval common;  // rows that see all of the keys
    if (first_key < last_key) {
        const Interval any = rows_seeing(first_key, last_key);
        steps.begin = any.first / kRows;
        steps.end = (any.last + kRows - 1) / kRows;
        common = {rows_seeing(last_key - 1, last_key).first, rows_seeing(first_key, first_key + 1).last};
    }
    auto ring = shared.ring();
    const auto pass = [&] { ring.release(ring.acquire()); };
    if constexpr (Shared::kOneTile) {
        steps.begin = consumer;
        for (int step = 0; step < steps.begin; ++step)
            ring.skip();
    } else {
#pragma unroll 1
        for (int step = 0; step < steps.begin; ++step)
            pass();
    }

    const auto k_rows = left_operand<kDk, kConsumerKeys>(shared_address(shared.k[tile]));
    const auto v_rows = left_operand<kDv, kConsumerKeys>(shared_address(shared.v[tile]));
#pragma unroll 1
    for (int step = steps.begin; step < steps.end; step += Shared::kOneTile ? kConsumers : 1) {
        const int stage = ring.acquire();
        if (Shared::kOneTile) ring.skip();
        const std::uint32_t q = shared_address(shared.stages[stage].q);
        const std::uint32_t d_out = shared_address(shared.stages[stage].d_out);
        const auto& terms = shared.terms[stage];
        float s[1][kRows / 8][4];
        float dp[1][kRows / 8][4];
        std::uint32_t p_left[1][kRows / 16][4];
        std::uint32_t ds_left[1][kRows / 16][4];
        warpgroup_fence(s);
        warpgroup_rows<T>(s[0], k_rows, right_operand<kDk, kRows>(q), false);
        warpgroup_commit();
        warpgroup_fence(dp);
        warpgroup_rows<T>(dp[0], v_rows, right_operand<kDv, kRows>(d_out), false);
        warpgroup_commit();
        warpgroup_wait<1>(s);
        const int first = step * kRows;
        if (first < common.first || first + kRows > common.last) {
            const int key = first_key + 16 * warp_of_warpgroup() + lane_index() / 4;
            hide_columns(s, {rows_seeing(key, key + 1), rows_seeing(key + 8, key + 9)}, first);
        }
        transposed_probabilities<T>(s, p_left, terms, log2_scale);
        warpgroup_fence(p_left, dv);
        warpgroup_columns<T>(dv[0], p_left[0], right_columns<kDv, kRows>(d_out));
        warpgroup_commit();
        warpgroup_wait<1>(dp);
        transposed_score_gradients(s, dp, terms);
        pack_left<T>(s, ds_left);
        warpgroup_fence(ds_left, dk);
        warpgroup_columns<T>(dk[0], ds_left[0], right_columns<kDk, kRows>(q));
        warpgroup_commit();
        // The next scores need the registers of these left operands: without this wait they would not fit,
        // and the compiler would make every product wait for the one before.
        warpgroup_wait<0>(dv, dk, p_left, ds_left);
        ring.release(stage);
    }
    if constexpr (!Shared::kOneTile) {
#pragma unroll 1
        for (int step = steps.end; step < steps.all; ++step)
            pass();
    }
}

// Where all consumers have the same keys, each gives the other one gradient, and adds up the one it keeps:
// the first dK, the second dV. By way of the stages, which nobody needs any more.
template <int kDk, int kDv, class Shared>
__device__ __forceinline__ void exchange_gradients(Shared& shared, int consumer, float (&dk)[1][kDk / 8][4],
                                                   float (&dv)[1][kDv / 8][4]) {
    static_assert(sizeof shared.stages >= (kDk + kDv) * kConsumerKeys * sizeof(float));
    float* const own = reinterpret_cast<float*>(shared.stages) + thread_of_warpgroup();
    float* const dk_parts = own;
    float* const dv_parts = own + kDk * kConsumerKeys;
    const auto each = [](auto& c, float* parts, auto use) {
#pragma unroll
        for (auto& tile : c[0])
#pragma unroll
            for (float& x : tile) {
                use(x, *parts);
                parts += kWarpgroupThreads;
            }
    };
    const auto give = [](float x, float& part) { part = x; };
    const auto add = [](float& x, float part) { x += part; };
    group_sync(1, kConsumers * kWarpgroupThreads);  // all steps are over
    if (consumer == 0) {
        each(dv, dv_parts, give);
    } else {
        each(dk, dk_parts, give);
    }
    group_sync(1, kConsumers * kWarpgroupThreads);
    if (consumer == 0) {
        each(dk, dk_parts, add);
    } else {
        each(dv, dv_parts, add);
    }
}

// One gradient of the warp's 16 keys to memory: rounded, or as fp32 parts from `column` on. `first`: of the
// item's keys.
template <class T, int kTiles, class Item>
__device__ __forceinline__ void store_gradient(const Item& item, int first, const float (&c)[1][kTiles][4],
                                               float scale, const Rows& to, bool packed, int column) {
    if (item.partial.first != nullptr) {
        store_partials(c, scale, item.partial.first + first * item.partial.stride + column,
                       item.partial.stride, item.key_count - first, [](int n) { return n; });
        return;
    }
    T* const rows = first_row<T>(to, item.keys, item.group, packed) + item.first_key * to.token;
    store_accumulators<T>(c, scale, [&](int row) -> T* {
        return first + row < item.key_count ? rows + (first + row) * to.token : nullptr;
    });
}

template <class T, int kDk, int kDv, class Plan>
__global__ void __launch_bounds__(kBackwardThreads, 1)
    warpgroup_dkdv_kernel(const __grid_constant__ DenseBackward p, const __grid_constant__ Plan plan,
                          GroupHeads heads) {
    auto& shared = *dynamic_shared<WarpgroupDkdvShared<kDk, kDv, Plan>>();
    const auto item = plan.item(p, heads, shared.plan);
    if (item.key_count <= 0) return;  // the whole thread block
    if (threadIdx.x == 0) {
        shared.item = item;
        shared.init();
    }
    __syncthreads();
    const int consumer = warpgroup_index();
    if (consumer == kConsumers) {
        release_registers<kProducerRegisters>();
        copy_steps<T, kDk, kDv>(shared, p, heads);
    } else {
        claim_registers<kConsumerRegisters>();
        float dk[1][kDk / 8][4];
        float dv[1][kDv / 8][4];
        clear(dk);
        clear(dv);
        barrier_wait(&shared.keys_full, 0);
        sum_gradients<T, kDk, kDv>(shared, heads, p.scale * kLog2E, consumer, dk, dv);
        constexpr bool kOneTile = Plan::kOneTile;
        if constexpr (kOneTile) exchange_gradients<kDk, kDv>(shared, consumer, dk, dv);
        const int first = (kOneTile ? 0 : consumer * kConsumerKeys) + warp_of_warpgroup() * 16;
        const bool packed = p.sequences.cu_tokens != nullptr;
        if (!kOneTile || consumer == 0) store_gradient<T>(shared.item, first, dk, p.scale, p.d_k, packed, 0);
        if (!kOneTile || consumer == 1) store_gradient<T>(shared.item, first, dv, 1.0F, p.d_v, packed, kDk);
    }
}

}  // namespace nsa::core::cuda
