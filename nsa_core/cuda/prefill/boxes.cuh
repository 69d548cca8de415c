// Tiles for the products of a warpgroup. A tile of R rows is kWidth / 64 boxes, one behind the other, of R
// rows of 64 elements, 128 bytes; the 16-byte pieces of a row are permuted by an XOR with the row's number,
// which is wgmma's 128-byte swizzle. Tiles begin at multiples of 1024 bytes, R is a multiple of 8. A tile of
// width 64 is laid out as by TileLayout<64>.
//
// The products here only issue: fence, commit and wait are the caller's (warpgroup.cuh).
#pragma once

#include "nsa_core/cuda/primitives.cuh"
#include "nsa_core/cuda/warpgroup.cuh"

namespace nsa::core::cuda {

inline constexpr int kWarpgroupThreads = 128;
inline constexpr int kWarpgroupRows = 64;  // of a product: 16 of each warp

/// A matrix in shared memory with the 128-byte swizzle, as wgmma describes it: the 16-byte pieces of each row
/// of 128 bytes are XORed by bits 7 to 9 of the address. Offsets in bytes, multiples of 16; patterns of 8
/// rows begin at multiples of 1024. K-major: rows of M or N, 8 rows `stride` apart; 16 elements of k further
/// are 32 bytes; `leading` is not used. MN-major: rows of k, 64 elements of M or N each; 8 rows `stride`, the
/// next 64 elements `leading` apart.
__device__ __forceinline__ constexpr std::uint64_t matrix_descriptor(std::uint32_t address,
                                                                     std::uint32_t leading,
                                                                     std::uint32_t stride) {
    return static_cast<std::uint64_t>((address & 0x3FFFFU) >> 4) |
           static_cast<std::uint64_t>(leading >> 4) << 16 | static_cast<std::uint64_t>(stride >> 4) << 32 |
           std::uint64_t{1} << 62;
}

/// The same `bytes` further on: half the arithmetic, for the other half of a descriptor does not change.
__device__ __forceinline__ constexpr std::uint64_t descriptor_behind(std::uint64_t descriptor, int bytes) {
    const auto address = static_cast<std::uint32_t>(descriptor) + static_cast<std::uint32_t>(bytes / 16);
    return descriptor >> 32 << 32 | address;
}

template <int kWidth>
struct BoxLayout {
    static_assert(kWidth % 64 == 0, "whole boxes");
    static constexpr int kRowBytes = 128;  // of a box
    static constexpr int kBoxes = kWidth / 64;

    __host__ __device__ static constexpr int bytes(int rows) { return rows * kWidth * 2; }
    /// Where 16-byte piece `piece` of row `row` begins, in a tile of kRows rows.
    template <int kRows>
    __device__ static constexpr int offset(int row, int piece) {
        return piece / 8 * kRows * kRowBytes + row * kRowBytes + (piece % 8 ^ row % 8) * 16;
    }
};

/// Rows of a tile as an operand of a product over its columns: row n is row n of the left operand, or column
/// n of the right one. `at(step)`: columns 16 step and the 15 behind.
template <int kWidth, int kRows>
struct BoxRows {
    static constexpr int kSteps = kWidth / 16;
    std::uint64_t start;

    [[nodiscard]] __device__ __forceinline__ std::uint64_t at(int step) const {
        return descriptor_behind(start, step / 4 * kRows * 128 + step % 4 * 32);
    }
};
/// Rows of a tile as the right operand of a product over them: column n is column n. `at(step)`: rows 16 step
/// and the 15 behind.
template <int kWidth, int kRows>
struct BoxColumns {
    static constexpr int kSteps = kRows / 16;
    std::uint64_t start;

    [[nodiscard]] __device__ __forceinline__ std::uint64_t at(int step) const {
        return descriptor_behind(start, step * 16 * 128);
    }
};

/// The operands of a tile of kRows rows, from row `first_row` on, a multiple of 8: 64 rows of a left one, as
/// many as there are accumulator columns of a right one.
template <int kWidth, int kRows>
__device__ __forceinline__ BoxRows<kWidth, kRows> left_operand(std::uint32_t tile, int first_row = 0) {
    static_assert(kRows % 8 == 0, "whole patterns of the swizzle");
    return {matrix_descriptor(tile + static_cast<std::uint32_t>(first_row * 128), 16, 1024)};
}
template <int kWidth, int kRows>
__device__ __forceinline__ BoxRows<kWidth, kRows> right_operand(std::uint32_t tile, int first_row = 0) {
    return left_operand<kWidth, kRows>(tile, first_row);
}
/// From column `first_column` on, a multiple of 64: as many as there are accumulator columns.
template <int kWidth, int kRows>
__device__ __forceinline__ BoxColumns<kWidth, kRows> right_columns(std::uint32_t tile, int first_row = 0,
                                                                   int first_column = 0) {
    static_assert(kRows % 8 == 0, "whole patterns of the swizzle");
    constexpr int kBoxBytes = kRows * 128;
    return {matrix_descriptor(
        tile + static_cast<std::uint32_t>(first_column / 64 * kBoxBytes + first_row * 128), kBoxBytes, 1024)};
}

// Step `step` of a left operand: a descriptor, or registers.
template <int kWidth, int kRows>
__device__ __forceinline__ std::uint64_t left_step(const BoxRows<kWidth, kRows>& left, int step) {
    return left.at(step);
}
template <int kSteps>
__device__ __forceinline__ const std::uint32_t (&left_step(const std::uint32_t (&left)[kSteps][4],
                                                           int step))[4] {
    return left[step];
}

template <class T, bool kTransposeB, int kSteps, int kTiles, class Left, class Right>
__device__ __forceinline__ void warpgroup_steps(float (&c)[kTiles][4], const Left& left, const Right& right,
                                                bool accumulate) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step)
        warpgroup_mma<T, kTiles * 8, kTransposeB>(c, left_step(left, step), right.at(step),
                                                  accumulate || step > 0);
}

/// c[64 x 8 kTiles] (+)= left · rightᵀ, both rows of kWidth: scores Q Kᵀ and dO Vᵀ, or their transposes.
/// `left`: left_operand(), or kWidth / 16 steps of the warp's 16 rows in registers. Unless `accumulate`, c is
/// not read.
template <class T, int kWidth, int kRightRows, int kTiles, class Left>
__device__ __forceinline__ void warpgroup_rows(float (&c)[kTiles][4], const Left& left,
                                               const BoxRows<kWidth, kRightRows>& right,
                                               bool accumulate = true) {
    warpgroup_steps<T, false, kWidth / 16>(c, left, right, accumulate);
}

/// c[64 x 8 kTiles] (+)= left · right over 16 kSteps rows of the tile right: P V, dS K, Pᵀ dO, dSᵀ Q. `left`:
/// the warp's 16 rows in registers, as pack_left makes them.
template <class T, int kSteps, int kTiles, int kWidth, int kRows>
__device__ __forceinline__ void warpgroup_columns(float (&c)[kTiles][4],
                                                  const std::uint32_t (&left)[kSteps][4],
                                                  const BoxColumns<kWidth, kRows>& right,
                                                  bool accumulate = true) {
    warpgroup_steps<T, true, kSteps>(c, left, right, accumulate);
}

/// Starts the copies of kRows rows into a tile, as copy_rows of tile.cuh does: row_of(r) is the row's first
/// element, or null: zeros.
template <class T, int kRows, int kWidth, int kThreads, class RowOf>
__device__ __forceinline__ void copy_boxes(std::uint32_t tile, int thread, RowOf row_of) {
    using Layout = BoxLayout<kWidth>;
    constexpr int kRowsAtOnce = kThreads / 8;
    const int piece = static_cast<int>(static_cast<unsigned>(thread) % 8U);
    const int first_row = static_cast<int>(static_cast<unsigned>(thread) / 8U);
#pragma unroll
    for (int i = 0; i < (kRows + kRowsAtOnce - 1) / kRowsAtOnce; ++i) {
        const int row = i * kRowsAtOnce + first_row;
        if (kRows % kRowsAtOnce != 0 && row >= kRows) break;
        const T* const source = row_of(row);
        const bool copy = source != nullptr;
        const T* const from = copy ? source + piece * 8 : source;
        const std::uint32_t to =
            tile + static_cast<std::uint32_t>(Layout::template offset<kRows>(row, piece));
#pragma unroll
        for (int box = 0; box < Layout::kBoxes; ++box)
            copy_async_or_zeros(to + static_cast<std::uint32_t>(box * kRows * Layout::kRowBytes),
                                from + box * 64, copy);
    }
}

/// The same of rows that lie `stride` elements apart, for a fifth of the instructions: `first` is source row
/// 0 of `count`, and there are zeros behind. The tile's row thread / 8 is source row `source_row`, and
/// kThreads / 8 rows further, i times, is `rows_after(i)` source rows further; none is behind row kRows - 1.
template <class T, int kRows, int kWidth, int kThreads, class RowsAfter>
__device__ __forceinline__ void copy_strided_boxes(std::uint32_t tile, int thread, const T* first,
                                                   std::int64_t stride, int count, int source_row,
                                                   RowsAfter rows_after) {
    using Layout = BoxLayout<kWidth>;
    constexpr int kRowsAtOnce = kThreads / 8;
    static_assert(kRows % kRowsAtOnce == 0, "all threads copy as much");
    const int piece = static_cast<int>(static_cast<unsigned>(thread) % 8U);
    const int first_row = static_cast<int>(static_cast<unsigned>(thread) / 8U);
    const T* const source = first + source_row * stride + piece * 8;
    const auto copy_each = [&](auto start_copy) {
#pragma unroll
        for (int i = 0; i < kRows / kRowsAtOnce; ++i) {
            const T* const from = source + rows_after(i) * stride;
            const int offset = Layout::template offset<kRows>(i * kRowsAtOnce + first_row, piece);
#pragma unroll
            for (int box = 0; box < Layout::kBoxes; ++box)
                start_copy(tile + static_cast<std::uint32_t>(offset + box * kRows * Layout::kRowBytes),
                           from + box * 64, source_row + rows_after(i));
        }
    };
    if (count >= kRows)
        copy_each([](std::uint32_t to, const T* from, int /*row*/) { copy_async(to, from); });
    else
        copy_each([count](std::uint32_t to, const T* from, int row) {
            copy_async_or_zeros(to, from, row < count);
        });
}

}  // namespace nsa::core::cuda
