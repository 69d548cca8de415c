// Learnable compression: three kernels, each for keys and values at once.
//   compress_bias    b1 + W1 position, in fp32
//   compress_hidden  pre = blocks W1ᵀ + bias, and silu(pre)
//   compress_out     silu(pre) W2ᵀ + b2
// Between them a row of `hidden` numbers lies in memory twice, rounded: 1/64 of a block of l c = 4096 at
// hidden = 64, in place of the block itself.
#pragma once

#include "nsa_core/cuda/compress/product.cuh"
#include "nsa_core/cuda/compress/rows.cuh"

namespace nsa::core::cuda {

inline constexpr int kBiasThreads = 128;

/// silu(x) = x / (1 + e^-x), and its derivative.
__device__ __forceinline__ float sigmoid(float x) {
    return 1.0F / (1.0F + exp2_fast(-x * kLog2E));
}
__device__ __forceinline__ float silu(float x) {
    return x * sigmoid(x);
}
__device__ __forceinline__ float silu_derivative(float x) {
    const float s = sigmoid(x);
    return s * fmaf(x, 1.0F - s, 1.0F);
}

template <class T>
__device__ __forceinline__ float rounded(float x) {
    return Half<T>::to_float(Half<T>::from_float(x));
}

/// A thread block's side and number: the first half of a grid's x is of keys, the second of values.
struct SideBlock {
    int side;
    int index;
};
__device__ __forceinline__ SideBlock side_block() {
    const unsigned half = gridDim.x / kSides;
    return {static_cast<int>(blockIdx.x / half), static_cast<int>(blockIdx.x % half)};
}

/// Which tile of a product a thread block makes: columns fastest, so that neighbours share the left operand.
struct TilePlace {
    int row;
    int column;
};
__device__ __forceinline__ TilePlace tile_place(int index, int columns) {
    const int tiles = (columns + kTile - 1) / kTile;
    return {index / tiles * kTile, index % tiles * kTile};
}

/// Rows `first`.. of a contiguous matrix as lines: `rows` of them are there.
template <class T>
__device__ __forceinline__ auto matrix_lines(const void* matrix, int first, int rows, int width) {
    return [=](int r) -> Line<T> {
        if (first + r >= rows) return {};
        return {static_cast<const T*>(matrix) + static_cast<std::int64_t>(first + r) * width, 0, 1};
    };
}
/// The same as targets, from column `column` on.
template <class T>
__device__ __forceinline__ auto matrix_rows(void* matrix, const TilePlace& at, int rows, int width) {
    return [=](int r) -> T* {
        if (at.row + r >= rows) return nullptr;
        return static_cast<T*>(matrix) + static_cast<std::int64_t>(at.row + r) * width + at.column;
    };
}

// A thread block for each hidden number. Sums in one order always.
template <class T>
__global__ void __launch_bounds__(kBiasThreads)
    compress_bias_kernel(const __grid_constant__ CompressForward p) {
    const SideBlock mine = side_block();
    const CompressForward::Side& side = p.side[mine.side];
    const int pieces = p.shape.l * side_width(p.shape, mine.side) / 8;
    const int row = mine.index;
    const T* const weights = static_cast<const T*>(side.phi.w1) + static_cast<std::int64_t>(row) * pieces * 8;
    const T* const position = static_cast<const T*>(side.phi.position);
    float sum = 0.0F;
    for (int i = static_cast<int>(threadIdx.x); i < pieces; i += kBiasThreads) {
        const Piece w = load_piece(weights + i * 8);
        const Piece x = load_piece(position + i * 8);
#pragma unroll
        for (int j = 0; j < 8; ++j)
            sum = fmaf(w.x[j], x.x[j], sum);
    }
#pragma unroll
    for (int across = kWarpSize / 2; across > 0; across /= 2)
        sum += __shfl_xor_sync(0xffffffffU, sum, across);
    float* const warps = dynamic_shared<float>();
    if (lane_index() == 0) warps[warp_index()] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    float all = Half<T>::to_float(static_cast<const T*>(side.phi.b1)[row]);
    for (int warp = 0; warp < kBiasThreads / kWarpSize; ++warp)
        all += warps[warp];
    side.bias[row] = all;
}

template <class T>
__global__ void __launch_bounds__(kProductThreads)
    compress_hidden_kernel(const __grid_constant__ CompressForward p, RowCount count) {
    const SideBlock mine = side_block();
    const CompressForward::Side& side = p.side[mine.side];
    const int width = side_width(p.shape, mine.side);
    const int block = p.shape.l * width;
    const int rows = RowWalk::rows(p.sequences, p.shape);
    const TilePlace at = tile_place(mine.index, p.hidden);
    if (at.row >= rows) return;
    RowWalk walk{p.sequences, p.shape.batch, count};
    AlongRows<T> left{
        width / 8, side.rows.token, [&](int r) -> Line<T> {
            if (at.row + r >= rows) return {};
            return {block_of<T>(side.rows, p.sequences, p.shape.d, walk.at(at.row + r)), 0, p.shape.l};
        }};
    AlongRows<T> right{block / 8, 0, matrix_lines<T>(side.phi.w1, at.column, p.hidden, block)};
    ProductSums c;
    multiply<T, Sum::kAlongRows, Sum::kAlongRows>(c, left, right, (block + kTile - 1) / kTile);
    for_each_pair(c, [&](int, int column, float& x, float& y) {
        if (at.column + column >= p.hidden) return;
        x = rounded<T>(x + side.bias[at.column + column]);
        y = rounded<T>(y + side.bias[at.column + column + 1]);
    });
    store_tile<T>(c, p.hidden - at.column, matrix_rows<T>(side.pre, at, rows, p.hidden));
    for_each_pair(c, [](int, int, float& x, float& y) {
        x = silu(x);
        y = silu(y);
    });
    store_tile<T>(c, p.hidden - at.column, matrix_rows<T>(side.act, at, rows, p.hidden));
}

template <class T>
__global__ void __launch_bounds__(kProductThreads)
    compress_out_kernel(const __grid_constant__ CompressForward p, RowCount count) {
    const SideBlock mine = side_block();
    const CompressForward::Side& side = p.side[mine.side];
    const int width = side_width(p.shape, mine.side);
    const int rows = RowWalk::rows(p.sequences, p.shape);
    const TilePlace at = tile_place(mine.index, width);
    if (at.row >= rows) return;
    AlongRows<T> left{p.hidden / 8, 0, matrix_lines<T>(side.act, at.row, rows, p.hidden)};
    AlongRows<T> right{p.hidden / 8, 0, matrix_lines<T>(side.phi.w2, at.column, width, p.hidden)};
    ProductSums c;
    multiply<T, Sum::kAlongRows, Sum::kAlongRows>(c, left, right, (p.hidden + kTile - 1) / kTile);
    const T* const bias = static_cast<const T*>(side.phi.b2);
    for_each_pair(c, [&](int, int column, float& x, float& y) {
        if (at.column + column >= width) return;
        x += Half<T>::to_float(bias[at.column + column]);
        y += Half<T>::to_float(bias[at.column + column + 1]);
    });
    RowWalk walk{p.sequences, p.shape.batch, count};
    store_tile<T>(c, width - at.column, [&](int r) -> T* {
        if (at.row + r >= rows) return nullptr;
        return compressed_row<T>(side.out, p.sequences, walk.at(at.row + r)) + at.column;
    });
}

}  // namespace nsa::core::cuda
