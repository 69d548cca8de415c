// What every stage of a step needs to know: parameters, sizes, place in the team, position in the sequence.
#pragma once

#include "nsa_core/cuda/step/sizes.cuh"

namespace nsa::core::cuda::step {

// Position of the step's token and what it sees; device twin of nsa_core/geometry.hpp.
struct Position {
    int t = 0;
    int compressed = 0;    // compressed tokens visible, the one of this step included
    bool emits = false;    // the token completes a compression block
    int window_first = 0;  // first token of the window
    int blocks = 0;        // selection blocks that begin at or before t

    // In unsigned arithmetic, which divides by a power of two in one shift.
    __device__ __forceinline__ Position(unsigned token, const StepShape& s)
        : t(static_cast<int>(token)),
          // A case of its own below l: dividing a negative number truncates to one token too many.
          compressed(t + 1 < s.l ? 0 : static_cast<int>((token + 1U - s.l) / static_cast<unsigned>(s.d)) + 1),
          emits(t + 1 >= s.l && (token + 1U - s.l) % static_cast<unsigned>(s.d) == 0),
          window_first(t + 1 > s.w ? t + 1 - s.w : 0),
          blocks(static_cast<int>(token / static_cast<unsigned>(s.l_sel)) + 1) {}
};

template <class SizesOf>
struct Context {
    using Sizes = SizesOf;
    static constexpr int kWidth = Sizes::kWidth;

    const Arguments& arguments;
    const StepParams& p;
    float* shared;  // dynamic shared memory of this rank
    int rank;
    int group;  // the group of this rank, and its share of that group's keys
    int split;
    int warp;
    int lane;

    __device__ __forceinline__ Context(const Arguments& given, float* memory, int team_rank)
        : arguments(given),
          p(given.params),
          shared(memory),
          rank(team_rank),
          group(static_cast<int>(static_cast<unsigned>(team_rank) /
                                 static_cast<unsigned>(Sizes::layout(given).splits))),
          split(team_rank - group * Sizes::layout(given).splits),
          warp(static_cast<int>(threadIdx.x) / 32),
          lane(static_cast<int>(threadIdx.x) % 32) {
        // What the compiler needs to turn divisions into shifts and to tell which weights a warp has.
        __builtin_assume(rank >= 0 && rank < at().ranks);
        __builtin_assume(warp >= 0 && warp < kStepWarps);
    }

    __device__ __forceinline__ StepShape shape() const { return Sizes::shape(arguments); }
    __device__ __forceinline__ StepLayout at() const { return Sizes::layout(arguments); }
    __device__ __forceinline__ int heads() const { return at().heads_per_group; }
    __device__ __forceinline__ int inbox(int section, int of_group) const {
        return of_group * at().group_stride + section;
    }
    __device__ __forceinline__ int inbox(int section) const { return inbox(section, group); }
    __device__ __forceinline__ int first_rank(int of_group) const { return of_group * at().splits; }
    // The rank that merges a head's partial outputs and gates them.
    __device__ __forceinline__ int owner(int head) const { return first_rank(group) + head % at().splits; }
    __device__ __forceinline__ int partial(int head, int branch, int of_split) const {
        return inbox(at().partials) + ((head * 3 + branch) * at().splits + of_split) * (4 + kWidth);
    }
    __device__ __forceinline__ int scores(int token) const {
        return at().scores + group * at().scores_stride + token * at().head_slots;
    }
    __device__ __forceinline__ float* floats(int section) const { return shared + section; }
    __device__ __forceinline__ int* ints(int section) const {
        return reinterpret_cast<int*>(shared + section);
    }
};

inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        x += __shfl_xor_sync(kAllLanes, x, step);
    return x;
}

__device__ __forceinline__ float dot4(float4 a, float4 b, float sum) {
    return fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, sum))));
}

}  // namespace nsa::core::cuda::step
