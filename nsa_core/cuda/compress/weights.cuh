// Gradients of the weights: products that sum over the rows, in shares (splits) whose fp32 parts a second
// kernel sums in their order.
//   compress_parts      dW1 = dPreᵀ blocks, db1 = sum dPre, dW2 = dOutᵀ silu(pre), db2 = sum dOut; of a share
//   compress_sum        all shares; dW1 gets db1 positionᵀ besides, for the blocks have no position here
//   compress_position   dposition = W1ᵀ db1
#pragma once

#include "nsa_core/cuda/compress/forward.cuh"
#include "nsa_core/cuda/compress/plan.hpp"

namespace nsa::core::cuda {

inline constexpr int kSumThreads = 128;
inline constexpr int kPositionPieces = 32;  // of a thread block
inline constexpr int kPositionShares = 8;   // of the hidden numbers, a warp each

struct Share {
    int first;
    int last;
};
/// Rows of share blockIdx.y: whole steps, alike but for one.
__device__ __forceinline__ Share share_of(int rows, int splits) {
    const int steps = (rows + kTile - 1) / kTile;
    const int each = (steps + splits - 1) / splits * kTile;
    const int first = min(static_cast<int>(blockIdx.y) * each, rows);
    return {first, min(first + each, rows)};
}

/// One tile of leftᵀ right over the share, into fp32 [m, n]; and, by the first column of tiles, the sums of
/// left into [m].
template <class T, class Left, class Right>
__device__ __forceinline__ void store_part(Left& left, Right& right, const Share& share, const TilePlace& at,
                                           int m, int n, float* part, float* sums_part) {
    ProductSums c;
    float sums[kWarpM][4] = {};
    clear(c);
    const bool ones = at.column == 0 && warp_column() == 0;
    multiply<T, Sum::kDownRows, Sum::kDownRows>(c, sums, ones, left, right,
                                                (share.last - share.first + kTile - 1) / kTile);
    for_each_pair(c, [&](int row, int column, float x, float y) {
        if (at.row + row >= m || at.column + column >= n) return;
        float* const to = part + static_cast<std::int64_t>(at.row + row) * n + at.column + column;
        *reinterpret_cast<float2*>(to) = make_float2(x, y);
    });
    if (!ones || lane_index() % 4 != 0) return;
#pragma unroll
    for (int i = 0; i < kWarpM; ++i)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = at.row + warp_row() + 16 * i + 8 * half + lane_index() / 4;
            if (row < m) sums_part[row] = sums[i][2 * half];
        }
}

/// Tile `index` of m x n: rows fastest, for the left operand is the narrow one.
__device__ __forceinline__ TilePlace part_place(int index, int m) {
    const int tiles = (m + kTile - 1) / kTile;
    return {index % tiles * kTile, index / tiles * kTile};
}

template <class T>
__device__ __forceinline__ auto rows_of_matrix(const void* matrix, int width) {
    return [first = static_cast<const T*>(matrix), width](int row) {
        return first + static_cast<std::int64_t>(row) * width;
    };
}

// Grid: x = tiles of dW1, then those of dW2; y = share.
template <class T>
__global__ void __launch_bounds__(kProductThreads)
    compress_parts_kernel(const __grid_constant__ CompressBackward p, RowCount count, int splits) {
    const SideBlock mine = side_block();
    const CompressBackward::Side& side = p.side[mine.side];
    const int width = side_width(p.shape, mine.side);
    const int block = p.shape.l * width;
    const Share share = share_of(RowWalk::rows(p.sequences, p.shape), splits);
    const PartsLayout layout = parts_layout(p.hidden, block, width);
    float* const part = side.parts + blockIdx.y * layout.all;
    const int w1_tiles = (p.hidden + kTile - 1) / kTile * ((block + kTile - 1) / kTile);
    const int index = mine.index;
    RowWalk walk{p.sequences, p.shape.batch, count};
    if (index < w1_tiles) {
        const TilePlace at = part_place(index, p.hidden);
        DownRows left{share.first, share.last, column_offset(at.row, p.hidden),
                      rows_of_matrix<T>(side.d_pre, p.hidden)};
        const std::int64_t column = column_offset(at.column, block);
        const std::int64_t offset = column < 0 ? -1 : column / width * side.rows.token + column % width;
        DownRows right{share.first, share.last, offset,
                       [&](int row) { return block_of<T>(side.rows, p.sequences, p.shape.d, walk.at(row)); }};
        store_part<T>(left, right, share, at, p.hidden, block, part, part + layout.b1);
        return;
    }
    const TilePlace at = part_place(index - w1_tiles, width);
    if (at.column >= p.hidden) return;  // the other side is the wider one
    DownRows left{share.first, share.last, column_offset(at.row, width),
                  [&](int row) { return compressed_row<T>(side.d_out, p.sequences, walk.at(row)); }};
    DownRows right{share.first, share.last, column_offset(at.column, p.hidden),
                   rows_of_matrix<T>(side.act, p.hidden)};
    store_part<T>(left, right, share, at, width, p.hidden, part + layout.w2, part + layout.b2);
}

/// Element `at` of the parts, 8 wide, summed over the splits.
__device__ __forceinline__ Piece sum_parts(const float* parts, std::int64_t at, std::int64_t all,
                                           int splits) {
    Piece sum = load_piece(parts + at);
    for (int split = 1; split < splits; ++split)
        add_scaled(sum, 1.0F, load_piece(parts + at + split * all));
    return sum;
}
__device__ __forceinline__ float sum_part(const float* parts, std::int64_t at, std::int64_t all, int splits) {
    float sum = parts[at];
    for (int split = 1; split < splits; ++split)
        sum += parts[at + split * all];
    return sum;
}

// A thread for 8 numbers of any of the four gradients, in the order of their parts.
template <class T>
__global__ void __launch_bounds__(kSumThreads)
    compress_sum_kernel(const __grid_constant__ CompressBackward p, int splits) {
    const SideBlock mine = side_block();
    const CompressBackward::Side& side = p.side[mine.side];
    const int width = side_width(p.shape, mine.side);
    const int block = p.shape.l * width;
    const PartsLayout layout = parts_layout(p.hidden, block, width);
    const std::int64_t at = (static_cast<std::int64_t>(mine.index) * kSumThreads + threadIdx.x) * 8;
    if (at >= layout.all) return;
    Piece sum = sum_parts(side.parts, at, layout.all, splits);
    if (at >= layout.b2) return store_piece(static_cast<T*>(side.d_phi.b2) + (at - layout.b2), sum);
    if (at >= layout.b1) return store_piece(static_cast<T*>(side.d_phi.b1) + (at - layout.b1), sum);
    if (at >= layout.w2) return store_piece(static_cast<T*>(side.d_phi.w2) + (at - layout.w2), sum);
    const float d_bias = sum_part(side.parts, layout.b1 + at / block, layout.all, splits);
    add_scaled(sum, d_bias, load_piece(static_cast<const T*>(side.phi.position) + at % block));
    store_piece(static_cast<T*>(side.d_phi.w1) + at, sum);
}

// A thread block for 32 pieces of the position; each warp sums a share of the hidden numbers.
template <class T>
__global__ void __launch_bounds__(kPositionPieces* kPositionShares)
    compress_position_kernel(const __grid_constant__ CompressBackward p, int splits) {
    const SideBlock mine = side_block();
    const CompressBackward::Side& side = p.side[mine.side];
    const int width = side_width(p.shape, mine.side);
    const int block = p.shape.l * width;
    const PartsLayout layout = parts_layout(p.hidden, block, width);
    const int column = (mine.index * kPositionPieces + lane_index()) * 8;
    const T* const weights = static_cast<const T*>(side.phi.w1) + column;
    auto* const sums = dynamic_shared<Piece>();  // [shares][pieces]
    Piece sum{};
    if (column < block)
        for (int row = warp_index(); row < p.hidden; row += kPositionShares)
            add_scaled(sum, sum_part(side.parts, layout.b1 + row, layout.all, splits),
                       load_piece(weights + static_cast<std::int64_t>(row) * block));
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (warp_index() != 0 || column >= block) return;
    for (int share = 1; share < kPositionShares; ++share)
        add_scaled(sum, 1.0F, sums[share * kPositionPieces + lane_index()]);
    store_piece(static_cast<T*>(side.d_phi.position) + column, sum);
}

}  // namespace nsa::core::cuda
