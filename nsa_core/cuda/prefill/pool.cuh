// Mean pooling of keys and values into compressed rows, its gradient, and the sum of partial gradients. A
// thread owns 8 columns of one result, sums in fp32 in the order of the rows, and rounds once.
#pragma once

#include "nsa_core/cuda/prefill/pieces.cuh"
#include "nsa_core/cuda/prefill/work.cuh"

namespace nsa::core::cuda {

inline constexpr int kPoolThreads = 256;

__device__ __forceinline__ std::int64_t thread_of_grid() {
    return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

template <class T>
__global__ void __launch_bounds__(kPoolThreads) mean_pool_kernel(const __grid_constant__ MeanPool p) {
    const PrefillShape& shape = p.shape;
    const bool packed = p.sequences.cu_tokens != nullptr;
    const Sequence tokens = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
    const Sequence out = compressed_rows_of(p.sequences, static_cast<int>(blockIdx.y));
    const KeyOrValue at = key_or_value(thread_of_grid(), shape.groups, shape.dk, shape.dv);
    if (at.row >= shape.compressed_of(tokens.length)) return;
    const ConstRows& from = at.value ? p.v : p.k;
    const Rows& to = at.value ? p.v_out : p.k_out;
    const std::int64_t first = static_cast<std::int64_t>(at.row) * shape.d;
    const T* row = first_row<T>(from, tokens, at.group, packed) + first * from.token + at.piece * 8;
    Piece sum{};
    for (int i = 0; i < shape.l; ++i, row += from.token)
        add_scaled(sum, 1.0F, load_piece(row));
    Piece mean{};
    add_scaled(mean, 1.0F / static_cast<float>(shape.l), sum);
    store_piece(first_row<T>(to, out, at.group, packed) + at.row * to.token + at.piece * 8, mean);
}

template <class T>
__global__ void __launch_bounds__(kPoolThreads)
    mean_pool_backward_kernel(const __grid_constant__ MeanPoolBackward p) {
    const PrefillShape& shape = p.shape;
    const bool packed = p.sequences.cu_tokens != nullptr;
    const Sequence tokens = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
    const Sequence out = compressed_rows_of(p.sequences, static_cast<int>(blockIdx.y));
    const KeyOrValue at = key_or_value(thread_of_grid(), shape.groups, shape.dk, shape.dv);
    if (at.row >= tokens.length) return;
    const int rows = shape.compressed_of(tokens.length);
    const int first = at.row < shape.l ? 0 : (at.row - shape.l) / shape.d + 1;  // covering row at.row
    const int last = min(at.row / shape.d, rows - 1);
    const ConstRows& gradient = at.value ? p.d_v_out : p.d_k_out;
    const T* from = first_row<T>(gradient, out, at.group, packed) + at.piece * 8;
    Piece sum{};
    for (int i = first; i <= last; ++i)
        add_scaled(sum, 1.0F / static_cast<float>(shape.l), load_piece(from + i * gradient.token));
    const Rows& to = at.value ? p.d_v : p.d_k;
    store_piece(first_row<T>(to, tokens, at.group, packed) + at.row * to.token + at.piece * 8, sum);
}

// Sums the splits of a DenseBackward, in their order.
template <class T>
__global__ void __launch_bounds__(kPoolThreads)
    sum_partials_kernel(const __grid_constant__ DenseBackward p, int splits, std::int64_t key_rows) {
    const PrefillShape& shape = p.shape;
    const bool packed = p.sequences.cu_tokens != nullptr;
    const int sequence = static_cast<int>(blockIdx.y);
    const Sequence keys = p.branch == DenseBranch::kWindow ? tokens_of(p.sequences, sequence)
                                                           : compressed_rows_of(p.sequences, sequence);
    const KeyOrValue at = key_or_value(thread_of_grid(), shape.groups, shape.dk, shape.dv);
    if (at.row >= keys.length) return;
    const int width = shape.dk + shape.dv;
    const float* const first =
        p.partials + ((keys.first + at.row) * shape.groups + at.group) * width + at.column(shape.dk);
    const std::int64_t split_stride = key_rows * shape.groups * width;
    Piece sum = load_piece(first);
    for (int split = 1; split < splits; ++split)
        add_scaled(sum, 1.0F, load_piece(first + split * split_stride));
    const Rows& to = at.value ? p.d_v : p.d_k;
    store_piece(first_row<T>(to, keys, at.group, packed) + at.row * to.token + at.piece * 8, sum);
}

}  // namespace nsa::core::cuda
