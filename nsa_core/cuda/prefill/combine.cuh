// The gated sum of the three branches, and what its gradient leaves for theirs.
#pragma once

#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/cuda/prefill/pieces.cuh"

namespace nsa::core::cuda {

inline constexpr int kCombineThreads = 256;

/// The row, of (token, head), that `lanes` neighbouring threads share. Block y is the sequence.
struct HeadRow {
    std::int64_t token;  // of the sequence
    std::int64_t index;  // of (token, head) from the first sequence on
    int head;
    int piece;
    bool exists;
};

__device__ __forceinline__ HeadRow head_row(const PrefillShape& shape, bool packed, int lanes) {
    const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const std::int64_t row = thread / lanes;
    const std::int64_t tokens = packed ? shape.tokens : shape.max_tokens;
    HeadRow at{};
    at.token = row / shape.heads;
    at.head = static_cast<int>(row % shape.heads);
    at.index = row + static_cast<std::int64_t>(blockIdx.y) * tokens * shape.heads;
    at.piece = static_cast<int>(thread % lanes);
    at.exists = at.token < tokens && at.piece < shape.dv / 8;
    return at;
}

template <class T, class AnyRows>
__device__ __forceinline__ T* piece_of(const AnyRows& rows, const HeadRow& at) {
    return static_cast<T*>(rows.data) + static_cast<std::int64_t>(blockIdx.y) * rows.batch +
           at.head * rows.head + at.token * rows.token + at.piece * 8;
}

template <class T>
__global__ void __launch_bounds__(kCombineThreads) combine_kernel(const __grid_constant__ Combine p) {
    const HeadRow at = head_row(p.shape, p.packed, p.shape.dv / 8);
    if (!at.exists) return;
    const T* const gates = static_cast<const T*>(p.gates) + at.index * kBranches;
    Piece sum{};
#pragma unroll
    for (int c = 0; c < kBranches; ++c)
        add_scaled(sum, Half<T>::to_float(gates[c]), load_piece(piece_of<const T>(p.branch[c], at)));
    store_piece(piece_of<T>(p.out, at), sum);
}

// `lanes`: a power of two from dv / 8 up, so that a row lies within a warp.
template <class T>
__global__ void __launch_bounds__(kCombineThreads)
    combine_backward_kernel(const __grid_constant__ CombineBackward p, int lanes) {
    const HeadRow at = head_row(p.shape, p.packed, lanes);
    float x[kBranches] = {};
    if (at.exists) {
        const Piece d_out = load_piece(piece_of<const T>(p.d_out, at));
#pragma unroll
        for (int c = 0; c < kBranches; ++c) {
            if (p.branch[c].data == nullptr) continue;
            const Piece out = load_piece(piece_of<const T>(p.branch[c], at));
#pragma unroll
            for (int i = 0; i < 8; ++i)
                x[c] = fmaf(d_out.x[i], out.x[i], x[c]);
        }
    }
    for (int step = 1; step < lanes; step *= 2)
#pragma unroll
        for (int c = 0; c < kBranches; ++c)
            x[c] += __shfl_xor_sync(0xffffffffU, x[c], step);
    if (!at.exists || at.piece != 0) return;
#pragma unroll
    for (int c = 0; c < kBranches; ++c) {
        if (p.branch[c].data == nullptr) continue;
        const std::int64_t at_gate = at.index * kBranches + c;
        const float gate =
            p.gates == nullptr ? 1.0F : Half<T>::to_float(static_cast<const T*>(p.gates)[at_gate]);
        p.delta[c][at.index] = gate * x[c];
        if (p.d_gates != nullptr) static_cast<T*>(p.d_gates)[at_gate] = Half<T>::from_float(x[c]);
    }
}

}  // namespace nsa::core::cuda
