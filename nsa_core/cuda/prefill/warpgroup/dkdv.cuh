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

/// The terms of a step's query rows. A lane needs those of columns 8 n + 2 (lane % 4) and one further, so
/// these of all n lie one behind the other.
template <int kRows>
struct alignas(16) QuadTerms {
    static constexpr int kOfQuad = kRows / 4;
    static constexpr int kPitch = kOfQuad + 4;  // the four lanes of a quad read different banks
    float lse[4 * kPitch];
    float delta[4 * kPitch];
    float gate[4 * kPitch];

    __device__ __forceinline__ void store(int row, const RowTerms& terms) {
        const int at = row % 8 / 2 * kPitch + row / 8 * 2 + row % 2;
        lse[at] = terms.lse;
        delta[at] = terms.delta;
        gate[at] = terms.gate;
    }
    /// Of columns 8 n + 2 (lane % 4), one further, and the same of n + 1; n even.
    __device__ __forceinline__ static float4 of(const float (&term)[4 * kPitch], int n) {
        return *reinterpret_cast<const float4*>(&term[lane_index() % 4 * kPitch + 2 * n]);
    }
};

/// The steps of an item, from one of them on: those ahead of it come last.
struct WalkSteps {
    int all;
    int step;

    /// The step `count` further on, or one behind all of them.
    [[nodiscard]] __device__ __forceinline__ int wrapped(int at) const { return at >= all ? at - all : at; }
    __device__ __forceinline__ void advance() { step = wrapped(step + 1); }
};

template <int kDk, int kDv, class Plan>
struct alignas(1024) WarpgroupDkdvShared {
    using Item = decltype(std::declval<Plan>().item(std::declval<const DenseBackward&>(),
                                                    std::declval<const GroupHeads&>()));
    static constexpr int kRows = kDkdvRows<kDk>;
    static constexpr int kStages = 4;  // a multiple of the consumers: in turn, each always has the same
    static constexpr bool kOneTile = Plan::kOneTile;
    static constexpr bool kListed = Plan::kListTokens > 1;
    static constexpr int kTiles = kOneTile ? 1 : kConsumers;
    using Ring = StageRing<kStages, /*kEveryLane=*/true>;
    struct Stage {
        char q[BoxLayout<kDk>::bytes(kRows)];
        char d_out[BoxLayout<kDv>::bytes(kRows)];
    };
    char k[kTiles][BoxLayout<kDk>::bytes(kConsumerKeys)];
    char v[kTiles][BoxLayout<kDv>::bytes(kConsumerKeys)];
    Stage stages[kStages];
    QuadTerms<kRows> terms[kStages];
    typename Ring::Barriers barriers;
    std::uint64_t keys_full;
    Item item;                        // here, because the consumers have no registers to keep it in
    int first_seeing[kConsumerKeys];  // of a list: for each key, the first token that sees it
    int list[Plan::kListTokens];      // its tokens, unless they are adjacent

    [[nodiscard]] __device__ __forceinline__ Ring ring() {
        return {barriers, shared_address(stages), sizeof(Stage)};
    }
    /// The walk begins with token item.start.
    [[nodiscard]] __device__ __forceinline__ WalkSteps walk(GroupHeads heads) const {
        return {((item.count << heads.log2) + kRows - 1) / kRows, (item.start << heads.log2) / kRows};
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
    const QueryRows<T> q{first_row<T>(p.q, item.tokens, head, packed), p.q, heads, thread};
    const QueryRows<T> d_out{first_row<T>(p.d_out, item.tokens, head, packed), p.d_out, heads, thread};
    const auto copy_rows_of = [&](auto width, char* to, const QueryRows<T>& from, int first) {
        if constexpr (Shared::kListed)
            from.template copy_listed<width(), kRows>(shared_address(to), first, rows,
                                                      [&](int i) { return item.token(i); });
        else
            from.template copy_adjacent<width(), kRows>(shared_address(to), item.first_token, first, rows);
    };
    // A thread fetches the terms of every second step (of every fourth, of 32 rows), long before their use.
    constexpr int kTurns = kWarpgroupThreads / kRows;
    const int turn = thread / kRows;
    const auto fetch_terms = [&](int first) {
        const int at = first + thread % kRows;
        return at < rows
                   ? load_terms<T>(p, item.tokens.first + item.token(heads.token(at)), head + heads.head(at))
                   : LoadedTerms<T>{};
    };
    constexpr std::integral_constant<int, kDk> kKeyWidth;
    constexpr std::integral_constant<int, kDv> kValueWidth;
    WalkSteps walk = shared.walk(heads);
    LoadedTerms<T> loaded = fetch_terms(walk.wrapped(walk.step + turn) * kRows);
#pragma unroll
    for (int tile = 0; tile < Shared::kTiles; ++tile) {
        copy_keys(kKeyWidth, shared.k[tile], p.k, tile);
        copy_keys(kValueWidth, shared.v[tile], p.v, tile);
    }
    barrier_arrive_after_copies(&shared.keys_full);
    auto ring = shared.ring();
#pragma unroll 1
    for (int i = 0; i < walk.all; ++i, walk.advance()) {
        const int stage = ring.claim();
        const int first = walk.step * kRows;
        const bool my_turn = i % kTurns == turn;
        if (my_turn) {
            shared.terms[stage].store(thread % kRows, loaded.terms());
            ring.stored();
        }
        copy_rows_of(kKeyWidth, shared.stages[stage].q, q, first);
        copy_rows_of(kValueWidth, shared.stages[stage].d_out, d_out, first);
        ring.hand_over();
        if (my_turn) loaded = fetch_terms(walk.wrapped(walk.step + kTurns) * kRows);
    }
}

// Hides rows outside their key's interval. s is keys by rows: row `first_row` + 8 n + 2 (lane % 4) + i % 2;
// seeing[half]: the rows that see this lane's key of that half.
template <int kN>
__device__ __forceinline__ void hide_rows(float (&s)[1][kN][4], const Interval (&seeing)[2], int first_row) {
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
                                                         const float4 (&lse)[kN / 2],
                                                         const QuadTerms<kRows>& terms, float log2_scale) {
#pragma unroll
    for (int n = 0; n < kN; n += 2) {
        const float4 gate = terms.of(terms.gate, n);
        const auto one = [&](float(&x)[4], std::uint32_t* to, float lse_0, float lse_1, float gate_0,
                             float gate_1) {
#pragma unroll
            for (int i = 0; i < 4; ++i)
                x[i] = exp2_fast(fmaf(x[i], log2_scale, i % 2 == 0 ? -lse_0 : -lse_1));
            to[0] = Half<T>::pack(x[0] * gate_0, x[1] * gate_1);
            to[1] = Half<T>::pack(x[2] * gate_0, x[3] * gate_1);
        };
        one(s[0][n], packed[0][n / 2], lse[n / 2].x, lse[n / 2].y, gate.x, gate.y);
        one(s[0][n + 1], packed[0][n / 2] + 2, lse[n / 2].z, lse[n / 2].w, gate.z, gate.w);
    }
}

// P becomes dS = P (gate dP - delta).
template <int kN, int kRows>
__device__ __forceinline__ void transposed_score_gradients(float (&p)[1][kN][4], const float (&dp)[1][kN][4],
                                                           const QuadTerms<kRows>& terms) {
#pragma unroll
    for (int n = 0; n < kN; n += 2) {
        const float4 delta = terms.of(terms.delta, n);
        const float4 gate = terms.of(terms.gate, n);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            p[0][n][i] *= fmaf(i % 2 == 0 ? gate.x : gate.y, dp[0][n][i], i % 2 == 0 ? -delta.x : -delta.y);
            p[0][n + 1][i] *=
                fmaf(i % 2 == 0 ? gate.z : gate.w, dp[0][n + 1][i], i % 2 == 0 ? -delta.z : -delta.w);
        }
    }
}

// The consumers' part but for the end: dK and dV of the consumer's keys, summed.
template <class T, int kDk, int kDv, class Shared>
__device__ __forceinline__ void sum_gradients(Shared& shared, GroupHeads heads, float log2_scale,
                                              int consumer, float (&dk)[1][kDk / 8][4],
                                              float (&dv)[1][kDv / 8][4]) {
    constexpr int kRows = Shared::kRows;
    const auto rows_seeing = [&](int first, int last) {
        Interval tokens;
        if constexpr (Shared::kListed)
            tokens = {shared.first_seeing[min(first - shared.item.first_key, kConsumerKeys - 1)],
                      shared.item.count};
        else
            tokens = shared.item.seeing(first, last);
        return Interval{tokens.first << heads.log2, tokens.last << heads.log2};
    };
    if constexpr (Shared::kListed) {
        const int key = static_cast<int>(threadIdx.x);
        if (key < kConsumerKeys) {
            const int first = shared.item.first_key + key;
            shared.first_seeing[key] = shared.item.seeing(first, first + 1).first;
        }
        group_sync(1, kConsumers * kWarpgroupThreads);
    }
    const int tile = Shared::kOneTile ? 0 : consumer;
    const int first_key = shared.item.first_key + tile * kConsumerKeys;
    const int last_key = min(first_key + kConsumerKeys, shared.item.first_key + shared.item.key_count);
    Interval any;     // rows that see any of the keys
    Interval common;  // all of them
    if (first_key < last_key) {
        any = rows_seeing(first_key, last_key);
        common = {rows_seeing(last_key - 1, last_key).first, rows_seeing(first_key, first_key + 1).last};
    }
    auto ring = shared.ring();
    WalkSteps walk = shared.walk(heads);

    const auto k_rows = left_operand<kDk, kConsumerKeys>(shared_address(shared.k[tile]));
    const auto v_rows = left_operand<kDv, kConsumerKeys>(shared_address(shared.v[tile]));
#pragma unroll 1
    for (int i = 0; i < walk.all; ++i, walk.advance()) {
        if (Shared::kOneTile && i % kConsumers != consumer) {
            ring.skip();
            continue;
        }
        if (Shared::kOneTile) walk.step = i;  // a list's walk begins with its first token
        const int stage = ring.acquire();
        const int first = walk.step * kRows;
        if (!Shared::kOneTile && (first >= any.last || first + kRows <= any.first)) {
            ring.release(stage);
            continue;
        }
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
        float4 lse[kRows / 16];  // fetched while the scores are made
#pragma unroll
        for (int n = 0; n < kRows / 8; n += 2)
            lse[n / 2] = terms.of(terms.lse, n);
        warpgroup_wait<1>(s);
        if (first < common.first || first + kRows > common.last) {
            const int key = first_key + 16 * warp_of_warpgroup() + lane_index() / 4;
            hide_rows(s, {rows_seeing(key, key + 1), rows_seeing(key + 8, key + 9)}, first);
        }
        transposed_probabilities<T>(s, p_left, lse, terms, log2_scale);
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
__global__ void __launch_bounds__(kRoleThreads, 1)
    warpgroup_dkdv_kernel(const __grid_constant__ DenseBackward p, const __grid_constant__ Plan plan,
                          GroupHeads heads) {
    using Shared = WarpgroupDkdvShared<kDk, kDv, Plan>;
    auto& shared = *dynamic_shared<Shared>();
    const auto item = plan.item(p, heads);
    if (item.key_count <= 0) return;  // the whole thread block
    if (threadIdx.x == 0) {
        shared.item = item;
        shared.init();
    }
    if constexpr (Shared::kListed) {
        for (int i = static_cast<int>(threadIdx.x); i < item.count; i += kRoleThreads)
            shared.list[i] = item.token(i);
        if (threadIdx.x == 0) shared.item.list = shared.list;
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
