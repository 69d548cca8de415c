// What the backward needs of a query row besides Q and dO.
#pragma once

#include <cmath>
#include <cstdint>

#include "nsa_core/cuda/prefill/work.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

/// P = exp2(log2_scale s - lse), dS = P (gate dP - delta). A row that sees nothing, or that is none, has lse
/// = +inf: P = 0.
struct RowTerms {
    float lse = INFINITY;  // log2 units
    float delta = 0.0F;
    float gate = 1.0F;
};

/// Of (token, head), counted from the first token of all sequences.
template <class T>
__device__ __forceinline__ RowTerms row_terms(const DenseBackward& p, std::int64_t token, int head) {
    const std::int64_t row = token * p.shape.heads + head;
    const float lse = p.lse[row];
    RowTerms terms{lse == -INFINITY ? INFINITY : lse * kLog2E, p.delta[row], 1.0F};
    if (p.gates != nullptr)
        terms.gate = Half<T>::to_float(static_cast<const T*>(p.gates)[row * p.gate_stride]);
    return terms;
}

}  // namespace nsa::core::cuda
