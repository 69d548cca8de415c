// Tiles of rows in shared memory, and the two matrix products that attention is made of.
//
// A tile holds rows of kWidth elements. The 16-byte pieces of a row are permuted by an XOR with the row's
// number: 8 rows at one column, which is what ldmatrix reads at a time, then fall into 8 different groups of
// banks, and no byte is spent on padding. Tiles begin at a multiple of 128 bytes.
//
// Products are cut into blocks of 16 rows x 16 columns. Accumulators are c[kM][kN][4]: kM blocks of 16 rows
// of this warp, kN tiles of 8 columns, lane layout of `mma` (primitives.cuh).
#pragma once

#include <cstdint>

#include "nsa_core/cuda/prefill/pieces.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

template <int kWidth>
struct TileLayout {
    static_assert(kWidth % 32 == 0, "whole groups of 4 pieces");
    static constexpr int kRowBytes = kWidth * 2;
    static constexpr int kPieces = kWidth / 8;              // of 16 bytes, in a row
    static constexpr int kSpan = kWidth % 64 == 0 ? 8 : 4;  // pieces that are permuted among themselves

    __device__ static constexpr int swizzle(int row) { return kSpan == 8 ? row % 8 : row / 2 % 4; }
    __device__ static constexpr int offset(int row, int piece) {
        return row * kRowBytes + (piece ^ swizzle(row)) * 16;
    }
    __host__ __device__ static constexpr int bytes(int rows) { return rows * kRowBytes; }
};

/// Where a lane finds its row of each 16 x 16 block of a tile; `start` is the block at (0, 0).
template <int kWidth>
struct LaneBlocks {
    using Layout = TileLayout<kWidth>;
    std::uint32_t start;

    // Blocks are even pieces, so that adding and XOR of the piece are the same.
    [[nodiscard]] __device__ __forceinline__ std::uint32_t at(int row_block, int column_block) const {
        const int piece = column_block * 2;
        return (start ^ static_cast<std::uint32_t>(piece % Layout::kSpan * 16)) +
               static_cast<std::uint32_t>(piece / Layout::kSpan * Layout::kSpan * 16 +
                                          row_block * 16 * Layout::kRowBytes);
    }
    /// Blocks that begin `side`, 0 or 1, columns of blocks further on: even ones of those are these.
    [[nodiscard]] __device__ __forceinline__ LaneBlocks odd_or_even(int side) const {
        return {start ^ static_cast<std::uint32_t>(side * 32)};
    }
};

/// Blocks as the left operand, rows by columns; and, loaded transposed, as the right operand of a product
/// over the tile's rows.
template <int kWidth>
__device__ __forceinline__ LaneBlocks<kWidth> left_blocks(std::uint32_t tile) {
    const int lane = lane_index();
    return {tile + static_cast<std::uint32_t>(TileLayout<kWidth>::offset(lane % 16, lane / 16))};
}
/// Blocks as the right operand of a product over columns: row n of the tile is column n of the operand.
template <int kWidth>
__device__ __forceinline__ LaneBlocks<kWidth> right_blocks(std::uint32_t tile) {
    const int lane = lane_index();
    return {tile +
            static_cast<std::uint32_t>(TileLayout<kWidth>::offset(lane / 16 * 8 + lane % 8, lane / 8 % 2))};
}

template <int kM, int kN>
__device__ __forceinline__ void clear(float (&c)[kM][kN][4]) {
#pragma unroll
    for (auto& row : c)
#pragma unroll
        for (auto& tile : row)
#pragma unroll
            for (float& x : tile)
                x = 0.0F;
}

/// c[16 kM x 8 kN] += left · rightᵀ, both rows of kWidth: scores Q Kᵀ and dO Vᵀ, or their transposes.
template <class T, int kWidth, int kM, int kN>
__device__ __forceinline__ void multiply_rows(float (&c)[kM][kN][4], const LaneBlocks<kWidth>& left,
                                              const LaneBlocks<kWidth>& right) {
    static_assert(kN % 2 == 0, "whole blocks");
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
        std::uint32_t a[kM][4];
#pragma unroll
        for (int m = 0; m < kM; ++m)
            load_matrices(a[m], left.at(m, step));
#pragma unroll
        for (int n = 0; n < kN / 2; ++n) {
            std::uint32_t b[4];
            load_matrices(b, right.at(n, step));
#pragma unroll
            for (int m = 0; m < kM; ++m) {
                mma<T>(c[m][2 * n], a[m], b[0], b[1]);
                mma<T>(c[m][2 * n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

/// Left blocks of a tile in registers: all steps of multiply_rows, loaded once.
template <int kWidth, int kM>
struct HeldBlocks {
    std::uint32_t a[kWidth / 16][kM][4];

    __device__ __forceinline__ void load(const LaneBlocks<kWidth>& left) {
#pragma unroll
        for (int step = 0; step < kWidth / 16; ++step)
#pragma unroll
            for (int m = 0; m < kM; ++m)
                load_matrices(a[step][m], left.at(m, step));
    }
};

template <class T, int kWidth, int kM, int kN>
__device__ __forceinline__ void multiply_rows(float (&c)[kM][kN][4], const HeldBlocks<kWidth, kM>& left,
                                              const LaneBlocks<kWidth>& right) {
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
#pragma unroll
        for (int n = 0; n < kN / 2; ++n) {
            std::uint32_t b[4];
            load_matrices(b, right.at(n, step));
#pragma unroll
            for (int m = 0; m < kM; ++m) {
                mma<T>(c[m][2 * n], left.a[step][m], b[0], b[1]);
                mma<T>(c[m][2 * n + 1], left.a[step][m], b[2], b[3]);
            }
        }
    }
}

/// Accumulators rounded to T, as the left operand of the next product: its contraction runs over their
/// columns. No lane gives anything to another.
template <class T, int kM, int kN>
__device__ __forceinline__ void pack_left(const float (&c)[kM][kN][4], std::uint32_t (&a)[kM][kN / 2][4]) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int step = 0; step < kN / 2; ++step)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float(&tile)[4] = c[m][2 * step + half];
                a[m][step][2 * half] = Half<T>::pack(tile[0], tile[1]);
                a[m][step][2 * half + 1] = Half<T>::pack(tile[2], tile[3]);
            }
}

/// c[16 kM x kWidth] += left · right, over 16 kSteps rows of the tile right: P V, dS K, Pᵀ dO, dSᵀ Q.
/// `right` are left_blocks() of its tile: they are loaded transposed.
template <class T, int kWidth, int kM, int kSteps>
__device__ __forceinline__ void multiply_columns(float (&c)[kM][kWidth / 8][4],
                                                 const std::uint32_t (&left)[kM][kSteps][4],
                                                 const LaneBlocks<kWidth>& right) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
        for (int n = 0; n < kWidth / 16; ++n) {
            std::uint32_t b[4];
            load_matrices_transposed(b, right.at(step, n));
#pragma unroll
            for (int m = 0; m < kM; ++m) {
                mma<T>(c[m][2 * n], left[m][step], b[0], b[1]);
                mma<T>(c[m][2 * n + 1], left[m][step], b[2], b[3]);
            }
        }
    }
}

/// c += left · right over 16 kSteps columns of the left tile, which are rows of the right one, for every
/// second block of columns of the latter: `right` begins with the block that is this warp's, see
/// odd_or_even().
template <class T, int kSteps, int kLeft, int kRight, int kM, int kTiles>
__device__ __forceinline__ void multiply_tiles(float (&c)[kM][kTiles][4], const LaneBlocks<kLeft>& left,
                                               const LaneBlocks<kRight>& right) {
    static_assert(kTiles * 16 == kRight, "half of the columns");
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        std::uint32_t a[kM][4];
#pragma unroll
        for (int m = 0; m < kM; ++m)
            load_matrices(a[m], left.at(m, step));
#pragma unroll
        for (int n = 0; n < kTiles / 2; ++n) {
            std::uint32_t b[4];
            load_matrices_transposed(b, right.at(step, 2 * n));
#pragma unroll
            for (int m = 0; m < kM; ++m) {
                mma<T>(c[m][2 * n], a[m], b[0], b[1]);
                mma<T>(c[m][2 * n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

/// Starts the copies of kRows rows into a tile, by kThreads threads of which this is number `thread`.
/// row_of(r) is the row's first element, or null: zeros. Neighbouring threads take neighbouring pieces, as
/// many as are permuted among themselves: whole lines of memory, and no two in one bank.
template <class T, int kRows, int kWidth, int kThreads, class RowOf>
__device__ __forceinline__ void copy_rows(std::uint32_t tile, int thread, RowOf row_of) {
    using Layout = TileLayout<kWidth>;
    constexpr int kRowsAtOnce = kThreads / Layout::kSpan;
    const int piece = static_cast<int>(static_cast<unsigned>(thread) % Layout::kSpan);
    const int first_row = static_cast<int>(static_cast<unsigned>(thread) / Layout::kSpan);
#pragma unroll
    for (int i = 0; i < (kRows + kRowsAtOnce - 1) / kRowsAtOnce; ++i) {
        const int row = i * kRowsAtOnce + first_row;
        if (kRows % kRowsAtOnce != 0 && row >= kRows) break;
        const T* const source = row_of(row);
        const bool copy = source != nullptr;
        const T* const from = copy ? source + piece * 8 : source;
        const std::uint32_t to = tile + static_cast<std::uint32_t>(Layout::offset(row, piece));
#pragma unroll
        for (int j = 0; j < Layout::kPieces; j += Layout::kSpan)
            copy_async_or_zeros(to + static_cast<std::uint32_t>(j * 16), from + j * 8, copy);
    }
}

/// The same again and again for adjacent rows of one tensor: what a thread's addresses share is computed
/// once.
template <class T, int kRows, int kWidth, int kThreads>
class AdjacentRows {
    using Layout = TileLayout<kWidth>;
    static constexpr int kRowsAtOnce = kThreads / Layout::kSpan;
    static_assert(kRows % kRowsAtOnce == 0 && kRowsAtOnce % 8 == 0, "a thread's rows are permuted alike");

  public:
    /// `rows`: row 0 of the tensor; `stride`: elements to the next.
    __device__ AdjacentRows(const T* rows, std::int64_t stride, int thread)
        : first_row_{static_cast<int>(static_cast<unsigned>(thread) / Layout::kSpan)},
          stride_{stride * static_cast<std::int64_t>(sizeof(T))} {
        const int piece = static_cast<int>(static_cast<unsigned>(thread) % Layout::kSpan);
        from_ = reinterpret_cast<const char*>(rows) + first_row_ * stride_ + piece * 16;
        to_ = static_cast<std::uint32_t>(Layout::offset(first_row_, piece));
    }

    /// Of rows first.. into a tile: the first `count`, zeros behind them.
    __device__ __forceinline__ void start(std::uint32_t tile, int first, int count) const {
        const char* from = from_ + first * stride_;
        const std::uint32_t to = tile + to_;
#pragma unroll
        for (int i = 0; i < kRows; i += kRowsAtOnce) {
            const bool copy = first_row_ + i < count;
#pragma unroll
            for (int j = 0; j < Layout::kPieces; j += Layout::kSpan)
                copy_async_or_zeros(to + static_cast<std::uint32_t>(i * Layout::kRowBytes + j * 16),
                                    from + j * 16, copy);
            from += kRowsAtOnce * stride_;
        }
    }

  private:
    int first_row_;
    std::int64_t stride_;  // bytes
    const char* from_;     // the thread's place in row first_row_ of the tensor,
    std::uint32_t to_;     // and in a tile
};

/// Rounds accumulators, times scale[m][half], into rows first_row.. of a tile. piece_of(n): the piece that
/// tile n of 8 columns is.
template <class T, int kWidth, int kM, int kTiles, class PieceOf>
__device__ __forceinline__ void stage_rows(const float (&c)[kM][kTiles][4], const float (&scale)[kM][2],
                                           char* tile, int first_row, PieceOf piece_of) {
    using Layout = TileLayout<kWidth>;
    const int lane = lane_index();
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int n = 0; n < kTiles; ++n) {
                const int row = first_row + m * 16 + half * 8 + lane / 4;
                *reinterpret_cast<std::uint32_t*>(tile + Layout::offset(row, piece_of(n)) + lane % 4 * 4) =
                    Half<T>::pack(c[m][n][2 * half] * scale[m][half], c[m][n][2 * half + 1] * scale[m][half]);
            }
}

/// Writes kRows rows of a tile to memory, by kThreads threads. row_of(r) is the row's first element, or null:
/// not written. `add`: what is there is added, in fp32.
template <class T, int kRows, int kWidth, int kThreads, class RowOf>
__device__ __forceinline__ void write_rows(const char* tile, int thread, RowOf row_of, bool add = false) {
    using Layout = TileLayout<kWidth>;
    constexpr int kPieces = kRows * Layout::kPieces;
    constexpr int kAtOnce = kPieces % (4 * kThreads) == 0 ? 4 : 1;  // pieces that do not wait for each other
    for (int first = thread; first < kPieces; first += kAtOnce * kThreads) {
        const T* from[kAtOnce];
        T* to[kAtOnce];
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            const int at = first + i * kThreads;
            const int row = static_cast<int>(static_cast<unsigned>(at) / Layout::kPieces);
            const int piece = static_cast<int>(static_cast<unsigned>(at) % Layout::kPieces);
            from[i] = reinterpret_cast<const T*>(tile + Layout::offset(row, piece));
            T* const begin = row_of(row);
            to[i] = begin == nullptr ? begin : begin + piece * 8;
        }
        if (add) {
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                if (to[i] == nullptr) continue;
                Piece sum = load_piece(static_cast<const T*>(to[i]));
                add_scaled(sum, 1.0F, load_piece(from[i]));
                store_piece(to[i], sum);
            }
            continue;
        }
        uint4 staged[kAtOnce];
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i)
            staged[i] = *reinterpret_cast<const uint4*>(from[i]);
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i)
            if (to[i] != nullptr) *reinterpret_cast<uint4*>(to[i]) = staged[i];
    }
}

/// Accumulators of a warp to rows of memory, by way of 16 kM rows of a tile of its own. The lanes meet
/// inside.
template <class T, int kM, int kTiles, class RowOf>
__device__ __forceinline__ void store_rows(const float (&c)[kM][kTiles][4], const float (&scale)[kM][2],
                                           char* staging, RowOf row_of, bool add = false) {
    __syncwarp();  // the staging rows may still be read
    stage_rows<T, kTiles * 8>(c, scale, staging, 0, [](int n) { return n; });
    __syncwarp();
    write_rows<T, kM * 16, kTiles * 8, kWarpSize>(staging, lane_index(), row_of, add);
}

}  // namespace nsa::core::cuda
