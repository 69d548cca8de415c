// dK and dV of a tile of 64 keys: a thread block holds keys and values, and walks the query rows of all
// tokens that see them, 32 rows at a time, in two stages. Scores are made transposed, keys by rows, so that
// their accumulators are the left operand of both sums, and a warp owns 16 keys from the first load to the
// last store. No atomics: what does not fit one thread block is written as fp32 parts, to be summed in order.
//
// Which tokens those are, a plan says: a type with
//   Shared                              what it keeps in shared memory
//   item<T>(p, heads, shared) -> Item   run by all threads, which may meet in it; this thread block's share
// and an Item like DenseItem below. Tokens of an item ascend.
#pragma once

#include "nsa_core/cuda/prefill/query_tile.cuh"
#include "nsa_core/cuda/prefill/row_terms.cuh"
#include "nsa_core/cuda/prefill/tile.cuh"

namespace nsa::core::cuda {

inline constexpr int kDkdvKeys = 16 * kDenseWarps;
inline constexpr int kDkdvRows = 32;

/// Where parts of a key's gradient go: fp32 rows of dk + dv, `stride` elements from key to key. Null: the
/// gradient is complete, and goes to d_k and d_v.
struct PartialRows {
    float* first = nullptr;  // of the item's first key
    std::int64_t stride = 0;
};

/// The terms of a step's query rows.
struct alignas(16) StepTerms {
    float lse[kDkdvRows];
    float delta[kDkdvRows];
    float gate[kDkdvRows];
};

template <int kDk, int kDv, class PlanShared>
struct alignas(128) DkdvShared {
    struct Stage {
        char q[TileLayout<kDk>::bytes(kDkdvRows)];
        char d_out[TileLayout<kDv>::bytes(kDkdvRows)];
    };
    char k[TileLayout<kDk>::bytes(kDkdvKeys)];  // at the end, staging of dK
    char v[TileLayout<kDv>::bytes(kDkdvKeys)];
    Stage stages[2];
    StepTerms terms[2];
    PlanShared plan;
};

// Hides tokens that do not see a key. s is keys by rows: key `first_key` + 8 half + lane/4 (of this warp's
// 16), row 8 n + 2 (lane % 4) + i % 2.
template <int kN, class IntervalOf>
__device__ __forceinline__ void hide_rows(float (&s)[1][kN][4], int first_key, IntervalOf interval_of_row) {
    const int lane = lane_index();
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const Interval seen = interval_of_row(8 * n + lane % 4 * 2 + i);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int key = first_key + 8 * half + lane / 4;
                if (key < seen.first || key >= seen.last) s[0][n][2 * half + i] = -INFINITY;
            }
        }
}

// s becomes gate P, dp becomes dS = P (gate dP - delta); both transposed, terms by column.
template <int kN>
__device__ __forceinline__ void transposed_gradients(float (&s)[1][kN][4], float (&dp)[1][kN][4],
                                                     const StepTerms& terms, float log2_scale) {
    const int lane = lane_index();
#pragma unroll
    for (int n = 0; n < kN; ++n) {
        const int row = 8 * n + lane % 4 * 2;
        const float2 lse = *reinterpret_cast<const float2*>(&terms.lse[row]);
        const float2 delta = *reinterpret_cast<const float2*>(&terms.delta[row]);
        const float2 gate = *reinterpret_cast<const float2*>(&terms.gate[row]);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float p = exp2_fast(fmaf(s[0][n][i], log2_scale, i % 2 == 0 ? -lse.x : -lse.y));
            const float g = i % 2 == 0 ? gate.x : gate.y;
            dp[0][n][i] = p * fmaf(g, dp[0][n][i], i % 2 == 0 ? -delta.x : -delta.y);
            s[0][n][i] = p * g;
        }
    }
}

// A warp's 16 rows of dK or dV, in fp32.
template <int kTiles>
__device__ __forceinline__ void store_partials(const float (&c)[1][kTiles][4], float scale, float* rows,
                                               std::int64_t stride, int count) {
    const int lane = lane_index();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int row = 8 * half + lane / 4;
        if (row >= count) continue;
#pragma unroll
        for (int n = 0; n < kTiles; ++n)
            *reinterpret_cast<float2*>(rows + row * stride + 8 * n + lane % 4 * 2) =
                make_float2(c[0][n][2 * half] * scale, c[0][n][2 * half + 1] * scale);
    }
}

template <class T, int kDk, int kDv, class Plan>
__global__ void __launch_bounds__(kDenseThreads)
    dkdv_kernel(const __grid_constant__ DenseBackward p, const __grid_constant__ Plan plan,
                GroupHeads heads) {
    auto& shared = *dynamic_shared<DkdvShared<kDk, kDv, typename Plan::Shared>>();
    const auto item = plan.item(p, heads, shared.plan);
    if (item.key_count <= 0) return;  // the whole thread block

    const int thread = static_cast<int>(threadIdx.x);
    const int lane = lane_index();
    const int warp = warp_index();
    const bool packed = p.sequences.cu_tokens != nullptr;
    const int head = item.group << heads.log2;
    const int rows = item.count << heads.log2;  // of all tokens
    const auto load_keys = [&](auto width, char* to, const ConstRows& from) {
        const T* const first =
            first_row<T>(from, item.keys, item.group, packed) + item.first_key * from.token;
        copy_rows<T, kDkdvKeys, width(), kDenseThreads>(shared_address(to), thread, [&](int row) -> const T* {
            return row < item.key_count ? first + row * from.token : nullptr;
        });
    };
    const T* const q = first_row<T>(p.q, item.tokens, head, packed);
    const T* const d_out = first_row<T>(p.d_out, item.tokens, head, packed);
    const auto load_stage = [&](int stage, int first) {
        const auto row_of = [&](const T* from, std::int64_t token_stride, std::int64_t head_stride) {
            return [=, &item](int row) -> const T* {
                const int at = first + row;
                return at < rows
                           ? from + item.token(heads.token(at)) * token_stride + heads.head(at) * head_stride
                           : nullptr;
            };
        };
        copy_rows<T, kDkdvRows, kDk, kDenseThreads>(shared_address(shared.stages[stage].q), thread,
                                                    row_of(q, p.q.token, p.q.head));
        copy_rows<T, kDkdvRows, kDv, kDenseThreads>(shared_address(shared.stages[stage].d_out), thread,
                                                    row_of(d_out, p.d_out.token, p.d_out.head));
    };
    const auto fetch_terms = [&](int first) {
        const int at = first + lane;
        return at < rows
                   ? row_terms<T>(p, item.tokens.first + item.token(heads.token(at)), head + heads.head(at))
                   : RowTerms{};
    };
    load_keys(std::integral_constant<int, kDk>{}, shared.k, p.k);
    load_keys(std::integral_constant<int, kDv>{}, shared.v, p.v);
    if (rows > 0) load_stage(0, 0);
    commit_copies();
    RowTerms terms = warp == 0 ? fetch_terms(0) : RowTerms{};

    const int warp_key = 16 * warp;
    const auto k_blocks = left_blocks<kDk>(shared_address(shared.k) + TileLayout<kDk>::bytes(warp_key));
    const auto v_blocks = left_blocks<kDv>(shared_address(shared.v) + TileLayout<kDv>::bytes(warp_key));
    const float log2_scale = p.scale * kLog2E;
    float dk[1][kDk / 8][4];
    float dv[1][kDv / 8][4];
    clear(dk);
    clear(dv);
    int stage = 0;
#pragma unroll 1
    for (int first = 0; first < rows; first += kDkdvRows, stage ^= 1) {
        if (warp == 0) {
            shared.terms[stage].lse[lane] = terms.lse;
            shared.terms[stage].delta[lane] = terms.delta;
            shared.terms[stage].gate[lane] = terms.gate;
        }
        wait_copies<0>();
        __syncthreads();  // this stage is here, and nobody reads the other any more
        const int next = first + kDkdvRows;
        if (next < rows) {
            load_stage(stage ^ 1, next);
            if (warp == 0) terms = fetch_terms(next);
        }
        commit_copies();
        const std::uint32_t q_tile = shared_address(shared.stages[stage].q);
        const std::uint32_t d_out_tile = shared_address(shared.stages[stage].d_out);
        float s[1][kDkdvRows / 8][4];
        float dp[1][kDkdvRows / 8][4];
        clear(s);
        clear(dp);
        multiply_rows<T>(s, k_blocks, right_blocks<kDk>(q_tile));
        multiply_rows<T>(dp, v_blocks, right_blocks<kDv>(d_out_tile));
        const int oldest = item.token(heads.token(first));
        const int latest = item.token(heads.token(min(next, rows) - 1));
        if (item.seen(latest).first > item.first_key ||
            item.seen(oldest).last < item.first_key + item.key_count) {
            // Rows behind the last are zeros with lse = +inf; any interval will do for them.
            hide_rows(s, item.first_key + warp_key, [&](int row) {
                return item.seen(item.token(heads.token(min(first + row, rows - 1))));
            });
        }
        transposed_gradients(s, dp, shared.terms[stage], log2_scale);
        std::uint32_t left[1][kDkdvRows / 16][4];
        pack_left<T>(s, left);
        multiply_columns<T>(dv, left, left_blocks<kDv>(d_out_tile));
        pack_left<T>(dp, left);
        multiply_columns<T>(dk, left, left_blocks<kDk>(q_tile));
    }
    wait_copies<0>();
    if (rows <= 0) __syncthreads();  // all copies end before their tile is reused

    const int count = item.key_count - warp_key;  // this warp's keys, from 16 up: all
    if (item.partial.first != nullptr) {
        float* const to = item.partial.first + warp_key * item.partial.stride;
        store_partials(dk, p.scale, to, item.partial.stride, count);
        store_partials(dv, 1.0F, to + kDk, item.partial.stride, count);
        return;
    }
    const auto store_keys = [&](const auto& c, float scale, char* staging, const Rows& to) {
        T* const base =
            first_row<T>(to, item.keys, item.group, packed) + (item.first_key + warp_key) * to.token;
        store_rows<T>(c, {{scale, scale}}, staging,
                      [&](int row) -> T* { return row < count ? base + row * to.token : nullptr; });
    };
    store_keys(dk, p.scale, shared.k + TileLayout<kDk>::bytes(warp_key), p.d_k);
    store_keys(dv, 1.0F, shared.v + TileLayout<kDv>::bytes(warp_key), p.d_v);
}

}  // namespace nsa::core::cuda
