// What every stage of a step needs to know: parameters, layout, place in the team, position in the sequence.
#pragma once

#include "nsa_core/cuda/step/arguments.hpp"

namespace nsa::core::cuda::step {

// Position of the step's token and what it sees; device twin of nsa_core/geometry.hpp.
struct Position {
    int t = 0;
    int compressed = 0;    // compressed tokens visible, the one of this step included
    bool emits = false;    // the token completes a compression block
    int window_first = 0;  // first token of the window
    int blocks = 0;        // selection blocks that begin at or before t

    __device__ Position(int token, const StepShape& s)
        : t(token),
          // A case of its own below l: dividing a negative number truncates to one token too many.
          compressed(token + 1 < s.l ? 0 : (token + 1 - s.l) / s.d + 1),
          emits(token + 1 >= s.l && (token + 1 - s.l) % s.d == 0),
          window_first(token + 1 > s.w ? token + 1 - s.w : 0),
          blocks(token / s.l_sel + 1) {}
};

struct Context {
    const StepParams& p;
    const StepLayout& at;
    float* scratch;  // shared memory of this rank, StepLayout's scratch
    int rank;
    int group;  // the group of this rank, and its share of that group's keys
    int split;
    int warp;
    int lane;

    __device__ Context(const Arguments& arguments, float* scratch_memory, int team_rank)
        : p(arguments.params),
          at(arguments.at),
          scratch(scratch_memory),
          rank(team_rank),
          group(team_rank / arguments.at.splits),
          split(team_rank % arguments.at.splits),
          warp(static_cast<int>(threadIdx.x) / 32),
          lane(static_cast<int>(threadIdx.x) % 32) {}

    __device__ const StepShape& shape() const { return p.shape; }
    __device__ int heads() const { return p.shape.heads / p.shape.groups; }  // of the group
    __device__ int inbox(int section, int of_group) const { return of_group * at.group_stride + section; }
    __device__ int inbox(int section) const { return inbox(section, group); }
    __device__ int first_rank(int of_group) const { return of_group * at.splits; }
    // The rank that merges a head's partial outputs and gates them.
    __device__ int owner(int head) const { return first_rank(group) + head % at.splits; }
    __device__ int partial(int head, int branch, int of_split) const {
        return inbox(at.partials) + ((head * 3 + branch) * at.splits + of_split) * (4 + p.shape.dv);
    }
    __device__ float* floats(int section) const { return scratch + section; }
    __device__ int* ints(int section) const { return reinterpret_cast<int*>(scratch + section); }
    __device__ unsigned* bits(int section) const { return reinterpret_cast<unsigned*>(scratch + section); }
};

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        x += __shfl_xor_sync(0xffffffffU, x, step);
    return x;
}

__device__ __forceinline__ float dot4(float4 a, float4 b, float sum) {
    return fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, sum))));
}

}  // namespace nsa::core::cuda::step
