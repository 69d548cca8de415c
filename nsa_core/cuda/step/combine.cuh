// Stages 4 and 5: each head's partial outputs are merged and gated by its owner, and all ranks share the rows
// of the output projection.
#pragma once

#include "nsa_core/cuda/step/attend.cuh"

namespace nsa::core::cuda::step {

// Component c of a head's output in one branch; 0 when no key was visible.
template <int kWidth, class Team>
__device__ __forceinline__ float merged_output(const Context& me, const Team& team, int head, int branch,
                                               int c) {
    Merge total;
    for (int split = 0; split < me.at.splits; ++split)
        total.see(team.load(me.partial(head, branch, split)));
    float sum = 0.0F;
    float keys = 0.0F;
    for (int split = 0; split < me.at.splits; ++split) {
        const int at = me.partial(head, branch, split);
        const float weight = total.weight(team.load(at));
        total.sum = fmaf(weight, team.load(at + 1), total.sum);
        sum = fmaf(weight, team.load(at + 4 + c), sum);
        keys += team.load(at + 2);
    }
    return keys == 0.0F ? 0.0F : sum / total.sum;
}

// Logits of the gates of this rank's heads, a warp each.
template <class Team>
__device__ __forceinline__ void gate_logits(const Context& me, const Team& team) {
    const StepShape& s = me.shape();
    for (int job = me.warp; job < me.at.owned_heads * 3; job += kStepWarps) {
        const int head = me.split + job / 3 * me.at.splits;
        if (head >= me.heads()) break;
        const int row = 3 * (me.group * me.heads() + head) + job % 3;
        const float* weights = me.p.weights.gate_w2 + static_cast<std::int64_t>(row) * s.gate_hidden;
        float sum = 0.0F;
        for (int i = me.lane; i < s.gate_hidden; i += 32)
            sum = fmaf(__ldg(weights + i), team.load(me.at.hidden + i), sum);
        sum = warp_sum(sum);
        if (me.lane == 0) me.floats(me.at.logits)[job / 3 * 4 + job % 3] = sum + me.p.weights.gate_b2[row];
    }
}

// Outputs of the compressed and sliding branch for this rank's heads, a warp each.
template <int kWidth, class Team>
__device__ __forceinline__ void merge_early(const Context& me, const Team& team) {
    for (int job = me.warp; job < me.at.owned_heads * 2; job += kStepWarps) {
        const int head = me.split + job / 2 * me.at.splits;
        if (head >= me.heads()) break;
        float* merged = me.floats(me.at.merged) + job * kWidth;
        for (int c = me.lane; c < kWidth; c += 32)
            merged[c] = merged_output<kWidth>(me, team, head, job % 2 * 2, c);
    }
}

// Gates of a head from its three logits.
__device__ __forceinline__ void gates_of(const StepParams& p, const float* logits, float (&gates)[3]) {
    if (p.forced_branch >= 0) {
#pragma unroll
        for (int branch = 0; branch < 3; ++branch)
            gates[branch] = branch == p.forced_branch ? 1.0F : 0.0F;
        return;
    }
    if (!p.shape.softmax_gate) {
#pragma unroll
        for (int branch = 0; branch < 3; ++branch)
            gates[branch] = 1.0F / (1.0F + expf(-logits[branch]));
        return;
    }
    const float highest = fmaxf(logits[0], fmaxf(logits[1], logits[2]));
    float sum = 0.0F;
#pragma unroll
    for (int branch = 0; branch < 3; ++branch)
        sum += gates[branch] = expf(logits[branch] - highest);
#pragma unroll
    for (int branch = 0; branch < 3; ++branch)
        gates[branch] /= sum;
}

// The gated sum of the branches for this rank's heads, to all ranks. Every warp computes all of it and serves
// a few ranks: that is faster than sharing the work and meeting once more.
template <int kWidth, class Team>
__device__ __forceinline__ void mix(const Context& me, Team& team) {
    for (int job = 0; job < me.at.owned_heads; ++job) {
        const int head = me.split + job * me.at.splits;
        if (head >= me.heads()) break;
        float gates[3];
        gates_of(me.p, me.floats(me.at.logits) + job * 4, gates);
        const float* merged = me.floats(me.at.merged) + job * 2 * kWidth;
        for (int c = me.lane; c < kWidth; c += 32) {
            const float selected = merged_output<kWidth>(me, team, head, 1, c);
            const float mixed = gates[0] * merged[c] + gates[1] * selected + gates[2] * merged[kWidth + c];
            const int at = me.at.mixed + (me.group * me.heads() + head) * kWidth + c;
            team.share(0, me.at.ranks, me.warp, kStepWarps, at, mixed);
        }
    }
}

// Keys read by each branch of the group, from what its ranks counted for the group's first head.
template <class Team>
__device__ __forceinline__ void report_reads(const Context& me, const Team& team) {
    if (me.p.reads == nullptr || me.split != 0 || threadIdx.x >= 3) return;
    const int branch = static_cast<int>(threadIdx.x);
    float keys = 0.0F;
    for (int split = 0; split < me.at.splits; ++split)
        keys += team.load(me.partial(0, branch, split) + 2);
    me.p.reads[me.group * 3 + branch] = static_cast<int>(keys);
}

// This rank's rows of the output projection, into shared memory in the background. Visible to all its threads
// after wait_copies and the next barrier.
__device__ __forceinline__ void prefetch_out_weights(const Context& me) {
    const int rows = me.shape().dim / me.at.ranks;
    const int width = me.shape().heads * me.shape().dv;
    const float* from = me.p.weights.out + static_cast<std::int64_t>(me.rank) * rows * width;
    float* to = me.floats(me.at.out_weights);
    for (int i = static_cast<int>(threadIdx.x) * 4; i < rows * width; i += kStepThreads * 4)
        copy_async(shared_address(to + i), from + i, true);
    commit_copies();
}

template <class Team>
__device__ __forceinline__ void project_out(const Context& me, const Team& team) {
    const int rows = me.shape().dim / me.at.ranks;
    const int width = me.shape().heads * me.shape().dv;
    for (int row = me.warp; row < rows; row += kStepWarps) {
        const float* weights = me.floats(me.at.out_weights) + row * width;
        float sum = 0.0F;
        for (int i = me.lane * 4; i < width; i += 128)
            sum = dot4(*reinterpret_cast<const float4*>(weights + i), team.load4(me.at.mixed + i), sum);
        sum = warp_sum(sum);
        if (me.lane == 0) me.p.out[me.rank * rows + row] = sum;
    }
}

}  // namespace nsa::core::cuda::step
