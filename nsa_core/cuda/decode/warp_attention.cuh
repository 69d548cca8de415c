// Attention of the heads of one group over rows that one warp takes 16 at a time, from a ring of its own in shared
// memory. Warps share nothing until they merge, so no barrier stands in the loop and each drifts as its loads come.
//
// The heads of the group are the 16 rows of the matrix tile; missing heads are zero rows that nobody reads back.
// Scores are kept in log2 units: the scale and log2(e) are one factor, applied to the fp32 score.
#pragma once

#include <cmath>
#include <cstdint>

#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kTileHeads = 16;
inline constexpr int kStages = 3;  // chunks of a warp in flight: two warps' worth of latency at full bandwidth
inline constexpr int kPadBytes = 16;  // behind each row, so that 8 rows of a matrix fall into 8 different banks

inline constexpr int kHiddenRow = -1;  // read as zeros
inline constexpr int kNewRow = -2;     // the step's own token, which is not in the cache yet

/// Rows of one branch and group: row r of the pool, or the new one. Widths are the template's.
template <class T>
struct RowSource {
    const T* k;
    const T* v;
    const T* new_k;
    const T* new_v;
};

/// A chunk's columns [first, last) are attended; the others are not.
struct Visible {
    int first;
    int last;
};

template <int kDk, int kDv>
struct RingLayout {
    static constexpr int kKeyRow = kDk * 2 + kPadBytes;
    static constexpr int kValueRow = kDv * 2 + kPadBytes;
    static constexpr int kStageBytes = kChunkRows * (kKeyRow + kValueRow);
    static constexpr int kWarpBytes = kStages * kStageBytes;
    static constexpr int kBytes = kDecodeWarps * kWarpBytes;
};

template <class T, int kDk, int kDv>
class WarpAttention {
    using Ring = RingLayout<kDk, kDv>;

  public:
    /// `ring`: kWarpBytes of shared memory of this warp. q [heads, kDk] of one group.
    __device__ WarpAttention(void* ring, const T* q, int heads, float scale)
        : ring_{shared_address(ring)}, log2_scale_{scale * kLog2E} {
        load_queries(q, heads);
        restart();
    }

    __device__ void restart() {
        for (auto& tile : out)
            for (float& x : tile)
                x = 0.0F;
        for (int half = 0; half < 2; ++half) {
            maximum[half] = kFloor;
            sum[half] = 0.0F;
        }
    }

    /// Starts the copies of a chunk into `stage`. Lane i < 16 names row i; `with_values` false leaves V alone.
    __device__ void issue(int stage, int row_of_lane, const RowSource<T>& rows, bool with_values = true) const {
        const std::uint32_t keys = ring_ + stage * Ring::kStageBytes;
        copy_rows<kDk>(keys, Ring::kKeyRow, row_of_lane, rows.k, rows.new_k);
        if (with_values) {
            copy_rows<kDv>(keys + kChunkRows * Ring::kKeyRow, Ring::kValueRow, row_of_lane, rows.v, rows.new_v);
        }
    }

    /// Scores of a chunk whose copies have landed, -inf in columns that are not visible. Lane layout of `mma`.
    __device__ void scores(int stage, Visible visible, float (&s)[2][4]) const {
        const int lane = threadIdx.x % kWarpSize;
        for (auto& tile : s)
            for (float& x : tile)
                x = 0.0F;
        const std::uint32_t row = ring_ + stage * Ring::kStageBytes +
                                  ((lane / 16) * 8 + lane % 8) * Ring::kKeyRow + ((lane / 8) % 2) * 16;
#pragma unroll
        for (int step = 0; step < kDk / 16; ++step) {
            std::uint32_t b[4];
            load_matrices(b, row + step * 32);
            mma<T>(s[0], q_[step], b[0], b[1]);
            mma<T>(s[1], q_[step], b[2], b[3]);
        }
#pragma unroll
        for (int tile = 0; tile < 2; ++tile) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int column = tile * 8 + (lane % 4) * 2 + i % 2;
                const bool seen = column >= visible.first && column < visible.last;
                s[tile][i] = seen ? s[tile][i] * log2_scale_ : -INFINITY;
            }
        }
    }

    /// Online softmax over a chunk: `s` becomes exp2(s - maximum), and the chunk's values join `out`.
    __device__ void accumulate(int stage, float (&s)[2][4]) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float largest = quad_max(
                fmaxf(fmaxf(s[0][2 * half], s[0][2 * half + 1]), fmaxf(s[1][2 * half], s[1][2 * half + 1])));
            const float next = fmaxf(maximum[half], largest);
            const float shrink = exp2_fast(maximum[half] - next);
            maximum[half] = next;
            sum[half] *= shrink;
#pragma unroll
            for (auto& tile : out) {
                tile[2 * half] *= shrink;
                tile[2 * half + 1] *= shrink;
            }
#pragma unroll
            for (auto& tile : s) {
                tile[2 * half] = exp2_fast(tile[2 * half] - next);
                tile[2 * half + 1] = exp2_fast(tile[2 * half + 1] - next);
                sum[half] += tile[2 * half] + tile[2 * half + 1];
            }
        }
        add_values(stage, s);
    }

    // Lane i holds heads i/4 and i/4 + 8, as `mma` lays them out. `sum` is of the lane's own columns.
    float out[kDv / 8][4];  // unnormalised
    float maximum[2];
    float sum[2];

  private:
    __device__ void load_queries(const T* q, int heads) {
        const int lane = threadIdx.x % kWarpSize;
        const int head = lane / 4;
        const auto pair = [&](int row, int column) {
            return row < heads ? *reinterpret_cast<const std::uint32_t*>(q + row * kDk + column) : 0U;
        };
#pragma unroll
        for (int step = 0; step < kDk / 16; ++step) {
            const int column = step * 16 + (lane % 4) * 2;
            q_[step][0] = pair(head, column);
            q_[step][1] = pair(head + 8, column);
            q_[step][2] = pair(head, column + 8);
            q_[step][3] = pair(head + 8, column + 8);
        }
    }

    template <int kWidth>
    __device__ static void copy_rows(std::uint32_t to, int row_bytes, int row_of_lane, const T* rows,
                                     const T* new_row) {
        constexpr int kPieces = kWidth / 8;  // of 16 bytes, in a row
        const int lane = threadIdx.x % kWarpSize;
#pragma unroll
        for (int i = 0; i < kChunkRows * kPieces / kWarpSize; ++i) {
            const int piece = i * kWarpSize + lane;
            const int row = piece / kPieces;
            const int column = piece % kPieces;
            const int source = __shfl_sync(0xffffffffU, row_of_lane, row);
            const T* from = source == kNewRow ? new_row : rows + static_cast<std::int64_t>(source < 0 ? 0 : source) * kWidth;
            copy_async(to + row * row_bytes + column * 16, from + column * 8, source != kHiddenRow);
        }
    }

    __device__ void add_values(int stage, const float (&p)[2][4]) {
        const int lane = threadIdx.x % kWarpSize;
        const std::uint32_t weights[4] = {Half<T>::pack(p[0][0], p[0][1]), Half<T>::pack(p[0][2], p[0][3]),
                                          Half<T>::pack(p[1][0], p[1][1]), Half<T>::pack(p[1][2], p[1][3])};
        const std::uint32_t row = ring_ + stage * Ring::kStageBytes + kChunkRows * Ring::kKeyRow +
                                  (((lane / 8) % 2) * 8 + lane % 8) * Ring::kValueRow + (lane / 16) * 16;
#pragma unroll
        for (int tile = 0; tile < kDv / 8; tile += 2) {
            std::uint32_t b[4];
            load_matrices_transposed(b, row + tile * 16);
            mma<T>(out[tile], weights, b[0], b[1]);
            mma<T>(out[tile + 1], weights, b[2], b[3]);
        }
    }

    std::uint32_t ring_;
    float log2_scale_;
    std::uint32_t q_[kDk / 16][4];
};

/// Runs a warp over `chunks` chunks: row_of(i) gives the lane's row of chunk i, visible_of(i) its columns, and
/// `visit` watches: begin() once the first chunks are under way, before(i, log2 scores), after(i, exp2(score - maximum)).
template <class Attention, class Source, class RowOf, class VisibleOf, class Visit>
__device__ __forceinline__ void attend_chunks(Attention& attention, const Source& rows, int chunks, RowOf row_of,
                                              VisibleOf visible_of, Visit&& visit) {
    constexpr int kLead = kStages - 1;  // chunks under way when one is waited for
    // Rows are looked up two chunks before they are needed: a look-up costs as long as a load.
    int row = 0 < chunks ? row_of(0) : kHiddenRow;
    int row_after = 1 < chunks ? row_of(1) : kHiddenRow;
#pragma unroll 1  // one place that issues: a step is short, and code that is met first costs more than loops
    for (int i = -kLead; i < chunks; ++i) {
        const int next = i + kLead;
        if (next < chunks) attention.issue(next % kStages, row, rows);
        commit_copies();
        row = row_after;
        if (next + 2 < chunks) row_after = row_of(next + 2);
        if (i < 0) {
            if (i == -1) visit.begin();
            continue;
        }
        wait_copies<kLead>();
        __syncwarp();
        float s[2][4];
        attention.scores(i % kStages, visible_of(i), s);
        visit.before(i, s);
        attention.accumulate(i % kStages, s);
        visit.after(i, s);
        __syncwarp();  // all lanes have read the stage before it is filled again
    }
    wait_copies<0>();
}

}  // namespace nsa::core::cuda
