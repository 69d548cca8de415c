// Attention of the heads of one group over rows that one warp takes 16 at a time, from a ring of its own in
// shared memory. Warps share nothing until they merge, so no barrier stands in the loop and each drifts as
// its loads come.
//
// The heads of the group are the 16 rows of the matrix tile; missing heads are zero rows that nobody reads
// back. Scores are kept in log2 units: the scale and log2(e) are one factor, applied to the fp32 score.
#pragma once

#include <cmath>
#include <cstdint>

#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kTileHeads = 16;
inline constexpr int kStages =
    3;  // chunks of a warp in flight: two warps' worth of latency at full bandwidth
inline constexpr int kPadBytes =
    16;  // behind each row, so that 8 rows of a matrix fall into 8 different banks

inline constexpr int kHiddenRow = -1;  // read as zeros

/// Keys and values of one branch: row r of each pool. Widths are the template's.
template <class T>
struct RowSource {
    const T* k;
    const T* v;
};

/// A chunk's columns [first, last) are attended; the others are not.
struct Visible {
    int first;
    int last;

    [[nodiscard]] __device__ bool all() const { return first <= 0 && last >= kChunkRows; }
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
        : ring_{shared_address(ring)}, policy_{read_once_policy()}, log2_scale_{scale * kLog2E} {
        load_queries(q, heads);
        restart();
        const int lane = lane_index();
        keys_ = ring_ + ((lane / 16) * 8 + lane % 8) * Ring::kKeyRow + ((lane / 8) % 2) * 16;
        values_ = ring_ + kChunkRows * Ring::kKeyRow + (((lane / 8) % 2) * 8 + lane % 8) * Ring::kValueRow +
                  (lane / 16) * 16;
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

    /// Starts the copies of a chunk into `stage`. Lane i < 16 names row i. `all`: no row is hidden.
    __device__ void issue(int stage, int row_of_lane, const RowSource<T>& rows, bool all) const {
        const std::uint32_t keys = ring_ + stage * Ring::kStageBytes;
        const std::uint32_t values = keys + kChunkRows * Ring::kKeyRow;
        if (all) {
            copy_chunk<true>(keys, values, row_of_lane, rows);
        } else {
            copy_chunk<false>(keys, values, row_of_lane, rows);
        }
    }

    /// Scores of a chunk whose copies have landed, -inf in columns that are not visible. Lane layout of
    /// `mma`.
    __device__ void scores(int stage, Visible visible, float (&s)[2][4]) const {
        const std::uint32_t keys = keys_ + stage * Ring::kStageBytes;
        float odd[2][4] = {};  // steps alternate between two sums: half as long a chain
        for (auto& tile : s)
            for (float& x : tile)
                x = 0.0F;
#pragma unroll
        for (int step = 0; step < kDk / 16; ++step) {
            std::uint32_t b[4];
            load_matrices(b, keys + step * 32);
            auto& sum = step % 2 == 0 ? s : odd;
            mma<T>(sum[0], q_[step], b[0], b[1]);
            mma<T>(sum[1], q_[step], b[2], b[3]);
        }
#pragma unroll
        for (int i = 0; i < 8; ++i)
            s[i / 4][i % 4] = (s[i / 4][i % 4] + odd[i / 4][i % 4]) * log2_scale_;
        if (visible.all()) return;
        const int lane = lane_index();
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int column = i / 4 * 8 + (lane % 4) * 2 + i % 2;
            if (column < visible.first || column >= visible.last) s[i / 4][i % 4] = -INFINITY;
        }
    }

    /// Online softmax over a chunk: `s` becomes exp2(s - maximum), and the chunk's values join `out`.
    __device__ void accumulate(int stage, float (&s)[2][4]) {
        float next[2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float largest = quad_max(
                fmaxf(fmaxf(s[0][2 * half], s[0][2 * half + 1]), fmaxf(s[1][2 * half], s[1][2 * half + 1])));
            next[half] = fmaxf(maximum[half], largest);
        }
        // Most chunks bring no new maximum to any head.
        if (__any_sync(0xffffffffU, next[0] > maximum[0] || next[1] > maximum[1])) rescale(next);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
            for (int tile = 0; tile < 2; ++tile) {
                s[tile][2 * half] = exp2_fast(s[tile][2 * half] - next[half]);
                s[tile][2 * half + 1] = exp2_fast(s[tile][2 * half + 1] - next[half]);
                sum[half] += s[tile][2 * half] + s[tile][2 * half + 1];
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
        const int lane = lane_index();
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

    // One piece of 16 bytes a lane, again and again. Keys and values of one width share what finds the row.
    template <bool kAll>
    __device__ void copy_chunk(std::uint32_t keys, std::uint32_t values, int row_of_lane,
                               const RowSource<T>& rows) const {
        if constexpr (kDk == kDv) {
            for_each_piece<kDk>(row_of_lane, [&](unsigned row, unsigned column, int source) {
                copy_piece<kDk, kAll>(keys, row, column, rows.k, source);
                copy_piece<kDv, kAll>(values, row, column, rows.v, source);
            });
        } else {
            for_each_piece<kDk>(row_of_lane, [&](unsigned row, unsigned column, int source) {
                copy_piece<kDk, kAll>(keys, row, column, rows.k, source);
            });
            for_each_piece<kDv>(row_of_lane, [&](unsigned row, unsigned column, int source) {
                copy_piece<kDv, kAll>(values, row, column, rows.v, source);
            });
        }
    }

    template <int kWidth, class Do>
    __device__ static void for_each_piece(int row_of_lane, Do action) {
        constexpr unsigned kPieces = kWidth / 8;  // of 16 bytes, in a row
        const auto lane = static_cast<unsigned>(lane_index());
#pragma unroll
        for (unsigned i = 0; i < kChunkRows * kPieces / kWarpSize; ++i) {
            unsigned row = (i * kWarpSize + lane) / kPieces;
            unsigned column = (i * kWarpSize + lane) % kPieces;
            if constexpr (kWarpSize % kPieces == 0) {  // the same, as a lane's place and a constant
                row = i * (kWarpSize / kPieces) + lane / kPieces;
                column = lane % kPieces;
            }
            action(row, column, __shfl_sync(0xffffffffU, row_of_lane, static_cast<int>(row)));
        }
    }

    template <int kWidth, bool kAll>
    __device__ void copy_piece(std::uint32_t to, unsigned row, unsigned column, const T* rows,
                               int source) const {
        constexpr unsigned kRowBytes = kWidth * 2;
        const std::uint32_t place = to + row * (kRowBytes + kPadBytes) + column * 16;
        const char* from = reinterpret_cast<const char*>(rows) + column * 16;
        if constexpr (kAll) {
            copy_async(place, from + static_cast<std::uint64_t>(static_cast<unsigned>(source)) * kRowBytes,
                       policy_);
        } else {
            const auto some_row = static_cast<unsigned>(source < 0 ? 0 : source);
            copy_async_or_zeros(place, from + static_cast<std::uint64_t>(some_row) * kRowBytes, source >= 0,
                                policy_);
        }
    }

    __device__ void rescale(const float (&next)[2]) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float shrink = exp2_fast(maximum[half] - next[half]);
            maximum[half] = next[half];
            sum[half] *= shrink;
#pragma unroll
            for (auto& tile : out) {
                tile[2 * half] *= shrink;
                tile[2 * half + 1] *= shrink;
            }
        }
    }

    __device__ void add_values(int stage, const float (&p)[2][4]) {
        const std::uint32_t weights[4] = {Half<T>::pack(p[0][0], p[0][1]), Half<T>::pack(p[0][2], p[0][3]),
                                          Half<T>::pack(p[1][0], p[1][1]), Half<T>::pack(p[1][2], p[1][3])};
        const std::uint32_t values = values_ + stage * Ring::kStageBytes;
#pragma unroll
        for (int tile = 0; tile < kDv / 8; tile += 2) {
            std::uint32_t b[4];
            load_matrices_transposed(b, values + tile * 16);
            mma<T>(out[tile], weights, b[0], b[1]);
            mma<T>(out[tile + 1], weights, b[2], b[3]);
        }
    }

    std::uint32_t ring_;
    std::uint32_t keys_;  // where the lane's matrix rows of the first stage are
    std::uint32_t values_;
    std::uint64_t policy_;
    float log2_scale_;
    std::uint32_t q_[kDk / 16][4];
};

/// Watches nothing; see attend_chunks.
struct NoVisit {
    __device__ void before(int /*chunk*/, const float (&)[2][4]) {}
    __device__ void after(int /*chunk*/, const float (&)[2][4]) {}
};

__device__ __forceinline__ int next_stage(int stage) {
    return stage + 1 == kStages ? 0 : stage + 1;
}

/// Runs a warp over `chunks` chunks: row_of(i) gives the lane's row of chunk i, visible_of(i) its columns,
/// and `visit` watches: before(i, log2 scores), after(i, exp2(score - maximum)).
template <class Attention, class Source, class RowOf, class VisibleOf, class Visit>
__device__ __forceinline__ void attend_chunks(Attention& attention, const Source& rows, int chunks,
                                              RowOf row_of, VisibleOf visible_of, Visit& visit) {
    constexpr int kLead = kStages - 1;  // chunks under way when one is waited for
    // Rows are looked up two chunks before they are needed: a look-up costs as long as a load.
    int row = 0 < chunks ? row_of(0) : kHiddenRow;
    int row_after = 1 < chunks ? row_of(1) : kHiddenRow;
    int filled = 0;
    int stage = 0;
#pragma unroll 1  // one place that issues: a step is short, and code that is met first costs more than loops
    for (int i = -kLead; i < chunks; ++i) {
        const int next = i + kLead;
        if (next < chunks) attention.issue(filled, row, rows, visible_of(next).all());
        commit_copies();
        filled = next_stage(filled);
        row = row_after;
        if (next + 2 < chunks) row_after = row_of(next + 2);
        if (i < 0) continue;
        wait_copies<kLead>();
        __syncwarp();
        float s[2][4];
        attention.scores(stage, visible_of(i), s);
        visit.before(i, s);
        attention.accumulate(stage, s);
        visit.after(i, s);
        stage = next_stage(stage);
        __syncwarp();  // all lanes have read the stage before it is filled again
    }
    wait_copies<0>();
}

}  // namespace nsa::core::cuda
