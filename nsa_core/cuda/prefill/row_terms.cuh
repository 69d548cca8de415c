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

/// The same as they lie in memory: loaded ahead of their use, nothing waits for them. Those of no row are
/// those of a row that sees nothing.
template <class T>
struct LoadedTerms {
    float lse = -INFINITY;  // natural logarithm
    float delta = 0.0F;
    T gate = Half<T>::from_float(1.0F);

    [[nodiscard]] __device__ __forceinline__ RowTerms terms() const {
        return {lse == -INFINITY ? INFINITY : lse * kLog2E, delta, Half<T>::to_float(gate)};
    }
};

/// Of (token, head), counted from the first token of all sequences.
template <class T>
__device__ __forceinline__ LoadedTerms<T> load_terms(const DenseBackward& p, std::int64_t token, int head) {
    const std::int64_t row = token * p.shape.heads + head;
    LoadedTerms<T> loaded;
    loaded.lse = p.lse[row];
    loaded.delta = p.delta[row];
    if (p.gates != nullptr) loaded.gate = static_cast<const T*>(p.gates)[row * p.gate_stride];
    return loaded;
}
template <class T>
__device__ __forceinline__ RowTerms row_terms(const DenseBackward& p, std::int64_t token, int head) {
    return load_terms<T>(p, token, head).terms();
}

}  // namespace nsa::core::cuda
