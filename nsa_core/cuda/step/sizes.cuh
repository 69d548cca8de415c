// Where a kernel has its sizes from. A step executes each instruction about once, so the address arithmetic
// and the divisions that run-time sizes cost show in full. The seed's layer therefore has kernels with its
// sizes compiled in; docs/kernels/step.md has the times.
#pragma once

#include "nsa_core/cuda/step/arguments.hpp"

namespace nsa::core::cuda::step {

// Any supported shape with dk = dv = `kWidthOfRows`.
template <int kWidthOfRows>
struct AnySizes {
    static constexpr int kWidth = kWidthOfRows;

    static __device__ __forceinline__ StepShape shape(const Arguments& a) { return a.params.shape; }
    static __device__ __forceinline__ StepLayout layout(const Arguments& a) { return a.at; }
};

// The default configuration, NsaConfig{}; the capacity, rotary positions and the kind of gate stay open.
template <int kRanks, bool kOwnInbox>
struct SeedSizes {
    static constexpr int kWidth = kSeedShape.dk;

    static __device__ __forceinline__ StepShape shape(const Arguments& a) {
        StepShape shape = kSeedShape;
        shape.capacity = a.params.shape.capacity;
        shape.rope = a.params.shape.rope;
        shape.softmax_gate = a.params.shape.softmax_gate;
        return shape;
    }
    static __device__ __forceinline__ StepLayout layout(const Arguments& a) {
        constexpr StepLayout kFixed = layout_step(kSeedShape, kRanks, kOwnInbox);
        StepLayout at = kFixed;
        at.scores_stride = a.at.scores_stride;
        at.own_scores = a.at.own_scores;
        at.importance = a.at.importance;
        at.places = a.at.places;
        return at;
    }
};

}  // namespace nsa::core::cuda::step
