// One step of one sequence and group, as the second kernel sees it.
#pragma once

#include "nsa_core/cuda/decode/geometry.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

template <class T>
struct PairStep {
    const DecodeParams& p;
    const DecodeConstants& constants;
    int b, g, t;

    [[nodiscard]] __device__ int pair() const { return b * p.shape.groups + g; }
    [[nodiscard]] __device__ float gate(int head, int branch) const {
        const int at = (pair() * p.shape.heads_per_group() + head) * 3 + branch;
        return Half<T>::to_float(static_cast<const T*>(p.gates)[at]);
    }
    [[nodiscard]] __device__ const int* pages() const {
        return p.page_table + static_cast<std::int64_t>(b) * p.page_stride;
    }
    /// Row of a token in the pools of the selected and the sliding branch.
    [[nodiscard]] __device__ int row_of(int token) const {
        return pool_row(pages(), token, constants.page_tokens, g, p.shape.groups);
    }
};

}  // namespace nsa::core::cuda
