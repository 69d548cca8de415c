// One tile of a matrix product, 64 x 64, by four warps of 32 x 32: the loop over steps of 64, and what
// becomes of the sums. The operands (operands.cuh) are copied two steps ahead.
#pragma once

#include "nsa_core/cuda/compress/operands.cuh"

namespace nsa::core::cuda {

inline constexpr int kStages = 3;
inline constexpr int kTileBytes = TileLayout<kTile>::bytes(kTile);
inline constexpr std::size_t kProductBytes = std::size_t{kStages} * 2 * kTileBytes;
inline constexpr int kWarpM = 2;  // 16 rows each
inline constexpr int kWarpN = 4;  // 8 columns each

using ProductSums = float[kWarpM][kWarpN][4];

/// How an operand's tile lies: its rows are rows of the left operand (columns of the right one), or they are
/// what the sum runs over.
enum class Sum { kAlongRows, kDownRows };

/// This warp's corner of the 64 x 64.
__device__ __forceinline__ int warp_row() {
    return warp_index() / 2 * 16 * kWarpM;
}
__device__ __forceinline__ int warp_column() {
    return warp_index() % 2 * 8 * kWarpN;
}

// Adds the product of two tiles; and, where `ones`, to every column of `sums` the sum of the left tile's.
template <class T, Sum kLeft, Sum kRight>
__device__ __forceinline__ void multiply_tile(ProductSums& c, float (&sums)[kWarpM][4], bool ones,
                                              std::uint32_t left_tile, std::uint32_t right_tile) {
    constexpr bool kLeftAlong = kLeft == Sum::kAlongRows;
    constexpr bool kRightAlong = kRight == Sum::kAlongRows;
    const LaneBlocks<kTile> left =
        kLeftAlong ? left_blocks<kTile>(left_tile) : right_blocks<kTile>(left_tile);
    const LaneBlocks<kTile> right =
        kRightAlong ? right_blocks<kTile>(right_tile) : left_blocks<kTile>(right_tile);
    const int row_block = warp_row() / 16;
    const int column_block = warp_column() / 16;
    const std::uint32_t one = Half<T>::pack(1.0F, 1.0F);
#pragma unroll
    for (int step = 0; step < kTile / 16; ++step) {
        std::uint32_t a[kWarpM][4];
#pragma unroll
        for (int m = 0; m < kWarpM; ++m) {
            if constexpr (kLeftAlong)
                load_matrices(a[m], left.at(row_block + m, step));
            else
                load_matrices_transposed(a[m], left.at(step, row_block + m));
            if (ones) mma<T>(sums[m], a[m], one, one);
        }
#pragma unroll
        for (int n = 0; n < kWarpN / 2; ++n) {
            std::uint32_t b[4];
            if constexpr (kRightAlong)
                load_matrices(b, right.at(column_block + n, step));
            else
                load_matrices_transposed(b, right.at(step, column_block + n));
#pragma unroll
            for (int m = 0; m < kWarpM; ++m) {
                mma<T>(c[m][2 * n], a[m], b[0], b[1]);
                mma<T>(c[m][2 * n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

/// c = left · right over `steps` steps. The copies are over when it ends; the tiles may still be read.
template <class T, Sum kLeft, Sum kRight, class Left, class Right>
__device__ __forceinline__ void multiply(ProductSums& c, float (&sums)[kWarpM][4], bool ones, Left& left,
                                         Right& right, int steps) {
    const std::uint32_t tiles = shared_address(dynamic_shared<char>());
    const auto start = [&](int stage) {
        left.start(tiles + static_cast<std::uint32_t>(stage * 2 * kTileBytes));
        right.start(tiles + static_cast<std::uint32_t>((stage * 2 + 1) * kTileBytes));
    };
#pragma unroll
    for (int step = 0; step < kStages - 1; ++step) {
        if (step < steps) start(step);
        commit_copies();
    }
    int stage = 0;
    for (int step = 0; step < steps; ++step) {
        wait_copies<kStages - 2>();
        __syncthreads();  // this step's tiles are there, and those of the step before are read
        if (step + kStages - 1 < steps) start(stage == 0 ? kStages - 1 : stage - 1);
        commit_copies();
        multiply_tile<T, kLeft, kRight>(c, sums, ones,
                                        tiles + static_cast<std::uint32_t>(stage * 2 * kTileBytes),
                                        tiles + static_cast<std::uint32_t>((stage * 2 + 1) * kTileBytes));
        stage = stage == kStages - 1 ? 0 : stage + 1;
    }
    wait_copies<0>();
}
template <class T, Sum kLeft, Sum kRight, class Left, class Right>
__device__ __forceinline__ void multiply(ProductSums& c, Left& left, Right& right, int steps) {
    float sums[kWarpM][4] = {};
    clear(c);
    multiply<T, kLeft, kRight>(c, sums, false, left, right, steps);
}

/// c(row, column) = change(c(row, column), row, column), of the tile; columns in pairs. `change` gets the
/// same pair of each of the `others`, too.
template <class Change, class... Others>
__device__ __forceinline__ void for_each_pair(ProductSums& c, Change change, Others&... others) {
    const int lane = lane_index();
#pragma unroll
    for (int m = 0; m < kWarpM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int n = 0; n < kWarpN; ++n)
                change(warp_row() + 16 * m + 8 * half + lane / 4, warp_column() + 8 * n + lane % 4 * 2,
                       c[m][n][2 * half], c[m][n][2 * half + 1], &others[m][n][2 * half]...);
}

/// Rounds the tile to rows of memory. row_of(r): where row r of the tile begins, or null; asked for ascending
/// rows. `columns`: how many are stored, a multiple of 8.
template <class T, class RowOf>
__device__ __forceinline__ void store_tile(const ProductSums& c, int columns, RowOf row_of) {
    constexpr float kUnscaled[kWarpM][2] = {{1.0F, 1.0F}, {1.0F, 1.0F}};
    char* const tile = dynamic_shared<char>();
    __syncthreads();  // what lies there may still be read
    stage_rows<T, kTile>(c, kUnscaled, tile, warp_row(), [](int n) { return warp_column() / 8 + n; });
    __syncthreads();
    if (own_piece() * 8 >= columns) return;
#pragma unroll
    for (int i = 0; i < kThreadRows; ++i) {
        T* const to = row_of(own_row(i));
        if (to == nullptr) continue;
        *reinterpret_cast<uint4*>(to + own_piece() * 8) =
            *reinterpret_cast<const uint4*>(tile + TileLayout<kTile>::offset(own_row(i), own_piece()));
    }
}

}  // namespace nsa::core::cuda
