// dK and dV of a tile of 64 keys: a thread block holds keys and values, and walks the query rows of all
// tokens that see them, 64 rows at a time. Scores are made transposed, keys by rows. Two warps share 32 keys:
// each makes the scores of half the rows of a step, and sums half the columns of dK and dV over all of them,
// so that a block of rows, once read from shared memory, feeds two products of each; the halves of P and dS
// meet in shared memory. Q and dO have one buffer each: the next dO arrives while dK is summed, the next Q
// while dP is made. No atomics: what does not fit one thread block is written as fp32 parts, to be summed in
// order.
//
// Which tokens those are, a plan says: a type with
//   item(p, heads) -> Item   this thread block's share
// and an Item like DenseItem of dense_items.cuh. Tokens of an item ascend.
#pragma once

#include "nsa_core/cuda/prefill/query_tile.cuh"
#include "nsa_core/cuda/prefill/row_terms.cuh"
#include "nsa_core/cuda/prefill/tile.cuh"

namespace nsa::core::cuda {

inline constexpr int kDkdvKeys = 64;
inline constexpr int kPairKeys = 32;  // of two warps
static_assert(kDkdvKeys == kPairKeys * kDenseWarps / 2);
template <int kDk>
inline constexpr int kDkdvRows = kDk > 128 ? 32 : 64;  // of a step: scores of 64 do not fit beside dk = 192

/// Where parts of a key's gradient go: fp32 rows of dk + dv, `stride` elements from key to key. Null: the
/// gradient is complete, and goes to d_k and d_v.
struct PartialRows {
    float* first = nullptr;  // of the item's first key
    std::int64_t stride = 0;
};

/// The terms of a step's query rows.
template <int kRows>
struct alignas(16) StepTerms {
    float lse[kRows];
    float delta[kRows];
    float gate[kRows];
};

template <int kDk, int kDv>
struct alignas(128) DkdvShared {
    static constexpr int kRows = kDkdvRows<kDk>;
    char k[TileLayout<kDk>::bytes(kDkdvKeys)];  // at the end, staging of dK
    char v[TileLayout<kDv>::bytes(kDkdvKeys)];
    char q[TileLayout<kDk>::bytes(kRows)];
    char d_out[TileLayout<kDv>::bytes(kRows)];
    char p[TileLayout<kRows>::bytes(kDkdvKeys)];  // gate P and dS of a step, transposed
    char ds[TileLayout<kRows>::bytes(kDkdvKeys)];
    StepTerms<kRows> terms;
};

// Hides tokens that do not see a key. s is keys by rows: key `first_key` + 16 m + 8 half + lane/4, row 8 n +
// 2 (lane % 4) + i % 2.
template <int kM, int kN, class IntervalOf>
__device__ __forceinline__ void hide_rows(float (&s)[kM][kN][4], int first_key, IntervalOf interval_of_row) {
    const int lane = lane_index();
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const Interval seen = interval_of_row(8 * n + lane % 4 * 2 + i);
#pragma unroll
            for (int m = 0; m < kM; ++m)
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const int key = first_key + 16 * m + 8 * half + lane / 4;
                    if (key < seen.first || key >= seen.last) s[m][n][2 * half + i] = -INFINITY;
                }
        }
}

// s becomes gate P, dp becomes dS = P (gate dP - delta); both transposed, terms by column, from first_row on.
template <int kM, int kN, int kRows>
__device__ __forceinline__ void transposed_gradients(float (&s)[kM][kN][4], float (&dp)[kM][kN][4],
                                                     const StepTerms<kRows>& terms, int first_row,
                                                     float log2_scale) {
    const int lane = lane_index();
#pragma unroll
    for (int n = 0; n < kN; ++n) {
        const int row = first_row + 8 * n + lane % 4 * 2;
        const float2 lse = *reinterpret_cast<const float2*>(&terms.lse[row]);
        const float2 delta = *reinterpret_cast<const float2*>(&terms.delta[row]);
        const float2 gate = *reinterpret_cast<const float2*>(&terms.gate[row]);
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float p = exp2_fast(fmaf(s[m][n][i], log2_scale, i % 2 == 0 ? -lse.x : -lse.y));
                const float g = i % 2 == 0 ? gate.x : gate.y;
                dp[m][n][i] = p * fmaf(g, dp[m][n][i], i % 2 == 0 ? -delta.x : -delta.y);
                s[m][n][i] = p * g;
            }
    }
}

// 16 kM rows of dK or dV in fp32, `rows` being the first; those from `count` on are none.
template <int kM, int kTiles, class PieceOf>
__device__ __forceinline__ void store_partials(const float (&c)[kM][kTiles][4], float scale, float* rows,
                                               std::int64_t stride, int count, PieceOf piece_of) {
    const int lane = lane_index();
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = 16 * m + 8 * half + lane / 4;
            if (row >= count) continue;
#pragma unroll
            for (int n = 0; n < kTiles; ++n)
                *reinterpret_cast<float2*>(rows + row * stride + piece_of(n) * 8 + lane % 4 * 2) =
                    make_float2(c[m][n][2 * half] * scale, c[m][n][2 * half + 1] * scale);
        }
}

template <class T, int kDk, int kDv, class Plan>
__global__ void __launch_bounds__(kDenseThreads)
    dkdv_kernel(const __grid_constant__ DenseBackward p, const __grid_constant__ Plan plan,
                GroupHeads heads) {
    constexpr int kRows = kDkdvRows<kDk>;
    constexpr int kOwnRows = kRows / 2;  // whose scores a warp makes
    constexpr int kBlocks = kPairKeys / 16;
    auto& shared = *dynamic_shared<DkdvShared<kDk, kDv>>();
    const auto item = plan.item(p, heads);
    if (item.key_count <= 0) return;  // the whole thread block

    const int thread = static_cast<int>(threadIdx.x);
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
    const auto load_queries = [&](auto width, char* to, const ConstRows& from, int first) {
        const T* const base = first_row<T>(from, item.tokens, head, packed);
        copy_rows<T, kRows, width(), kDenseThreads>(shared_address(to), thread, [&](int row) -> const T* {
            const int at = first + row;
            return at < rows ? base + item.token(heads.token(at)) * from.token + heads.head(at) * from.head
                             : nullptr;
        });
    };
    constexpr std::integral_constant<int, kDk> kKeyWidth;
    constexpr std::integral_constant<int, kDv> kValueWidth;
    const auto fetch_terms = [&](int first) {
        const int at = first + thread;
        return thread < kRows && at < rows
                   ? row_terms<T>(p, item.tokens.first + item.token(heads.token(at)), head + heads.head(at))
                   : RowTerms{};
    };
    load_keys(kKeyWidth, shared.k, p.k);
    load_keys(kValueWidth, shared.v, p.v);
    if (rows > 0) load_queries(kValueWidth, shared.d_out, p.d_out, 0);
    commit_copies();
    RowTerms terms = fetch_terms(0);

    const int side = warp_index() % 2;
    const int pair_key = warp_index() / 2 * kPairKeys;
    const int own_row = side * kOwnRows;
    const auto k_blocks = left_blocks<kDk>(shared_address(shared.k) + TileLayout<kDk>::bytes(pair_key));
    const auto v_blocks = left_blocks<kDv>(shared_address(shared.v) + TileLayout<kDv>::bytes(pair_key));
    const auto q_rows = right_blocks<kDk>(shared_address(shared.q) + TileLayout<kDk>::bytes(own_row));
    const auto d_out_rows = right_blocks<kDv>(shared_address(shared.d_out) + TileLayout<kDv>::bytes(own_row));
    const auto p_blocks = left_blocks<kRows>(shared_address(shared.p) + TileLayout<kRows>::bytes(pair_key));
    const auto ds_blocks = left_blocks<kRows>(shared_address(shared.ds) + TileLayout<kRows>::bytes(pair_key));
    const auto q_columns = left_blocks<kDk>(shared_address(shared.q)).odd_or_even(side);
    const auto d_out_columns = left_blocks<kDv>(shared_address(shared.d_out)).odd_or_even(side);
    const float log2_scale = p.scale * kLog2E;
    constexpr float kOnes[kBlocks][2] = {{1.0F, 1.0F}, {1.0F, 1.0F}};
    float dk[kBlocks][kDk / 16][4];  // every second block of columns
    float dv[kBlocks][kDv / 16][4];
    clear(dk);
    clear(dv);
#pragma unroll 1
    for (int first = 0; first < rows; first += kRows) {
        if (thread < kRows) {
            shared.terms.lse[thread] = terms.lse;
            shared.terms.delta[thread] = terms.delta;
            shared.terms.gate[thread] = terms.gate;
        }
        wait_copies<0>();
        __syncthreads();  // dO is here, and nobody reads Q, P and dS of the step before any more
        load_queries(kKeyWidth, shared.q, p.q, first);
        commit_copies();
        terms = fetch_terms(first + kRows);
        float s[kBlocks][kOwnRows / 8][4];
        float dp[kBlocks][kOwnRows / 8][4];
        clear(s);
        clear(dp);
        multiply_rows<T>(dp, v_blocks, d_out_rows);
        wait_copies<0>();
        __syncthreads();  // Q is here
        multiply_rows<T>(s, k_blocks, q_rows);
        const int oldest = item.token(heads.token(first));
        const int latest = item.token(heads.token(min(first + kRows, rows) - 1));
        if (item.seen(latest).first > item.first_key ||
            item.seen(oldest).last < item.first_key + item.key_count) {
            // Rows behind the last are zeros with lse = +inf; any interval will do for them.
            hide_rows(s, item.first_key + pair_key, [&](int row) {
                return item.seen(item.token(heads.token(min(first + own_row + row, rows - 1))));
            });
        }
        transposed_gradients(s, dp, shared.terms, own_row, log2_scale);
        const auto own_piece = [&](int n) { return own_row / 8 + n; };
        stage_rows<T, kRows>(s, kOnes, shared.p, pair_key, own_piece);
        stage_rows<T, kRows>(dp, kOnes, shared.ds, pair_key, own_piece);
        __syncthreads();  // P and dS are here
        multiply_tiles<T, kRows / 16>(dv, p_blocks, d_out_columns);
        __syncthreads();  // nobody reads dO any more
        if (first + kRows < rows) load_queries(kValueWidth, shared.d_out, p.d_out, first + kRows);
        commit_copies();
        multiply_tiles<T, kRows / 16>(dk, ds_blocks, q_columns);
    }

    const auto piece_of = [&](int n) { return (n / 2 * 2 + side) * 2 + n % 2; };
    if (item.partial.first != nullptr) {
        wait_copies<0>();
        float* const to = item.partial.first + pair_key * item.partial.stride;
        const int count = item.key_count - pair_key;
        store_partials(dk, p.scale, to, item.partial.stride, count, piece_of);
        store_partials(dv, 1.0F, to + kDk, item.partial.stride, count, piece_of);
        return;
    }
    wait_copies<0>();
    __syncthreads();  // nobody reads or fills the tiles of keys and values any more
    stage_rows<T, kDk>(dk, {{p.scale, p.scale}, {p.scale, p.scale}}, shared.k, pair_key, piece_of);
    stage_rows<T, kDv>(dv, kOnes, shared.v, pair_key, piece_of);
    __syncthreads();
    const auto write_keys = [&](auto width, const char* tile, const Rows& to) {
        T* const first = first_row<T>(to, item.keys, item.group, packed) + item.first_key * to.token;
        write_rows<T, kDkdvKeys, width(), kDenseThreads>(tile, thread, [&](int row) -> T* {
            return row < item.key_count ? first + row * to.token : nullptr;
        });
    };
    write_keys(kKeyWidth, shared.k, p.d_k);
    write_keys(kValueWidth, shared.v, p.d_v);
}

}  // namespace nsa::core::cuda
