// The operands of a product, as they come into shared memory: tiles of 64 rows of 64 numbers, by pieces of 16
// bytes. A thread copies the same piece of four rows, and knows where they lie; what is not there is zeros.
// Steps are asked for in their order.
#pragma once

#include "nsa_core/cuda/prefill/tile.cuh"

namespace nsa::core::cuda {

inline constexpr int kTile = 64;  // rows, columns and step of a product
inline constexpr int kProductThreads = 128;
inline constexpr int kTilePieces = kTile / 8;
inline constexpr int kThreadRows = kTile * kTilePieces / kProductThreads;
inline constexpr int kRowsApart = kTile / kThreadRows;

__device__ __forceinline__ int own_piece() {
    return static_cast<int>(threadIdx.x % static_cast<unsigned>(kTilePieces));
}
__device__ __forceinline__ int own_row(int i) {
    return static_cast<int>(threadIdx.x / static_cast<unsigned>(kTilePieces)) + i * kRowsApart;
}

/// A row in runs of pieces: run r begins r * stride elements after `first`, and is there for r in
/// [begin, end).
template <class T>
struct Line {
    const T* first = nullptr;
    int begin = 0;
    int end = 0;
};

/// The sum runs along the rows: a step moves on by 64 numbers.
template <class T>
class AlongRows {
  public:
    /// line_of(row of the tile) -> Line; runs are `run_pieces` pieces long.
    template <class LineOf>
    __device__ __forceinline__ AlongRows(int run_pieces, std::int64_t stride, LineOf line_of)
        : run_pieces_{run_pieces}, stride_{stride}, column_{own_piece()} {
#pragma unroll
        for (int i = 0; i < kThreadRows; ++i)
            lines_[i] = line_of(own_row(i));
        carry();
    }

    __device__ __forceinline__ void start(std::uint32_t tile) {
        const std::int64_t offset = run_ * stride_ + column_ * 8;
#pragma unroll
        for (int i = 0; i < kThreadRows; ++i) {
            const Line<T>& line = lines_[i];
            const bool copy = run_ >= line.begin && run_ < line.end;
            copy_async_or_zeros(
                tile + static_cast<std::uint32_t>(TileLayout<kTile>::offset(own_row(i), own_piece())),
                copy ? line.first + offset : line.first, copy);
        }
        column_ += kTilePieces;
        carry();
    }

  private:
    __device__ __forceinline__ void carry() {
        for (; column_ >= run_pieces_; column_ -= run_pieces_)
            ++run_;
    }

    int run_pieces_;
    std::int64_t stride_;
    int column_;  // piece of the run
    int run_ = 0;
    Line<T> lines_[kThreadRows];
};

/// The sum runs down the rows: a step moves on by 64 rows, columns stay.
template <class RowOf>
class DownRows {
  public:
    /// row_of(row) -> its first element, for rows from `first` to `last`. `offset`: of this thread's piece in
    /// a row; below 0: it has none there.
    __device__ __forceinline__ DownRows(int first, int last, std::int64_t offset, RowOf row_of)
        : row_{first}, last_{last}, offset_{offset}, row_of_{row_of} {}

    __device__ __forceinline__ void start(std::uint32_t tile) {
#pragma unroll
        for (int i = 0; i < kThreadRows; ++i) {
            const int row = row_ + own_row(i);
            const bool copy = row < last_ && offset_ >= 0;
            const auto* const from = copy ? row_of_(row) + offset_ : nullptr;
            copy_async_or_zeros(
                tile + static_cast<std::uint32_t>(TileLayout<kTile>::offset(own_row(i), own_piece())), from,
                copy);
        }
        row_ += kTile;
    }

  private:
    int row_;
    int last_;
    std::int64_t offset_;
    RowOf row_of_;
};

/// DownRows::offset where columns `first`.. of rows of `width` are wanted, `width` a multiple of 8.
__device__ __forceinline__ std::int64_t column_offset(int first, int width) {
    const int column = first + own_piece() * 8;
    return column < width ? column : -1;
}

}  // namespace nsa::core::cuda
