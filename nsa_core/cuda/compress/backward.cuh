// Gradients of the rows: through the hidden numbers, and from there to every token.
//   compress_pre    dPre = (dOut W2) silu'(pre), and silu(pre) again, for dW2
//   compress_rows   dx of token t = sum over the blocks i that cover it of dPre[i] W1[:, t - i d]
// Tokens of one residue t mod d lie at the same places of their blocks, so that for them the second is a
// product over (block, hidden number): rows of dPre that lie one token apart, against slices of W1.
#pragma once

#include "nsa_core/cuda/compress/forward.cuh"

namespace nsa::core::cuda {

template <class T>
__global__ void __launch_bounds__(kProductThreads)
    compress_pre_kernel(const __grid_constant__ CompressBackward p, RowCount count) {
    const SideBlock mine = side_block();
    const CompressBackward::Side& side = p.side[mine.side];
    const int width = side_width(p.shape, mine.side);
    const int rows = RowWalk::rows(p.sequences, p.shape);
    const TilePlace at = tile_place(mine.index, p.hidden);
    if (at.row >= rows) return;
    RowWalk walk{p.sequences, p.shape.batch, count};
    AlongRows<T> left{width / 8, 0, [&](int r) -> Line<T> {
                          if (at.row + r >= rows) return {};
                          return {compressed_row<T>(side.d_out, p.sequences, walk.at(at.row + r)), 0, 1};
                      }};
    const T* const w2 = static_cast<const T*>(side.phi.w2);
    DownRows right{0, width, column_offset(at.column, p.hidden),
                   [=, hidden = p.hidden](int row) { return w2 + static_cast<std::int64_t>(row) * hidden; }};
    ProductSums c;
    multiply<T, Sum::kAlongRows, Sum::kDownRows>(c, left, right, (width + kTile - 1) / kTile);
    ProductSums act;
    const auto pre = matrix_lines<T>(side.pre, at.row, rows, p.hidden);
    for_each_pair(
        c,
        [&](int row, int column, float& x, float& y, float* act_of) {
            const T* const line = pre(row).first;
            const bool there = line != nullptr && at.column + column < p.hidden;
            const T* const from = line + at.column + column;
            const float2 z =
                there ? Half<T>::unpack(*reinterpret_cast<const std::uint32_t*>(from)) : float2{0.0F, 0.0F};
            x *= silu_derivative(z.x);
            y *= silu_derivative(z.y);
            act_of[0] = silu(z.x);
            act_of[1] = silu(z.y);
        },
        act);
    store_tile<T>(c, p.hidden - at.column, matrix_rows<T>(side.d_pre, at, rows, p.hidden));
    store_tile<T>(act, p.hidden - at.column, matrix_rows<T>(side.act, at, rows, p.hidden));
}

/// Slices of W1 as rows of the sum: row (run, hidden number) is W1[hidden number, token residue + run d].
/// Rows are asked for in ascending order.
template <class T>
struct Slices {
    const T* first;         // of run 0
    std::int64_t next_run;  // elements
    std::int64_t next_hidden;
    int hidden;
    int run_row = 0;  // where the run at hand begins
    const T* run = first;

    __device__ __forceinline__ const T* operator()(int row) {
        for (; row - run_row >= hidden; run_row += hidden)
            run += next_run;
        return run + (row - run_row) * next_hidden;
    }
};

// Grid: x = (64 pairs of d tokens and group, residue, columns), the columns fastest; y = sequence.
template <class T>
__global__ void __launch_bounds__(kProductThreads)
    compress_rows_kernel(const __grid_constant__ CompressBackward p, Divisor groups, int column_tiles) {
    const SideBlock mine = side_block();
    const CompressBackward::Side& side = p.side[mine.side];
    const PrefillShape& shape = p.shape;
    const int width = side_width(shape, mine.side);
    const bool packed = p.sequences.cu_tokens != nullptr;
    const Sequence tokens = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
    const Sequence blocks = compressed_rows_of(p.sequences, static_cast<int>(blockIdx.y));
    const int index = mine.index;
    const int first_column = index % column_tiles * kTile;
    const int residue = index / column_tiles % shape.d;
    const int first_slot = index / column_tiles / shape.d * kTile;
    if (first_column >= width || groups.quotient(first_slot) * shape.d + residue >= tokens.length) return;
    const int count = shape.compressed_of(tokens.length);
    const int runs =
        residue < shape.l ? (shape.l - 1 - residue) / shape.d + 1 : 0;  // blocks that cover a token
    const std::int64_t row_stride = std::int64_t{shape.groups} * p.hidden;
    const T* const d_pre = static_cast<const T*>(side.d_pre) +
                           (blocks.first - (packed ? p.sequences.cu_compressed[0] : 0)) * row_stride;
    // Run m of a token is block t / d - m, as far as there is one.
    AlongRows<T> left{p.hidden / 8, -row_stride, [&](int r) -> Line<T> {
                          const int slot = first_slot + r;
                          const int block = groups.quotient(slot);
                          const int group = slot - block * shape.groups;
                          if (block * shape.d + residue >= tokens.length) return {};
                          return {d_pre + block * row_stride + static_cast<std::int64_t>(group) * p.hidden,
                                  max(block - count + 1, 0), min(block + 1, runs)};
                      }};
    const std::int64_t of_hidden = std::int64_t{shape.l} * width;
    DownRows right{0, runs * p.hidden, column_offset(first_column, width),
                   Slices<T>{static_cast<const T*>(side.phi.w1) + std::int64_t{residue} * width,
                             std::int64_t{shape.d} * width, of_hidden, p.hidden}};
    ProductSums c;
    multiply<T, Sum::kAlongRows, Sum::kDownRows>(c, left, right, (runs * p.hidden + kTile - 1) / kTile);
    store_tile<T>(c, width - first_column, [&](int r) -> T* {
        const int slot = first_slot + r;
        const int block = groups.quotient(slot);
        const int token = block * shape.d + residue;
        if (token >= tokens.length) return nullptr;
        return first_row<T>(side.d_rows, tokens, slot - block * shape.groups, packed) +
               token * side.d_rows.token + first_column;
    });
}

}  // namespace nsa::core::cuda
