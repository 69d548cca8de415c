// Stages 4 and 5: each head's partial outputs are merged and gated by its owner, and all ranks share the rows
// of the output projection.
#pragma once

#include "nsa_core/cuda/step/attend.cuh"

namespace nsa::core::cuda::step {

// Component c of a head's output in one branch; 0 when no key was visible.
template <class Me, class Team>
__device__ __forceinline__ float merged_output(const Me& me, const Team& team, int head, int branch, int c) {
    const int splits = me.at().splits;
    Merge total;
#pragma unroll 8
    for (int split = 0; split < splits; ++split)
        total.see(team.load(me.partial(head, branch, split)));
    float sum = 0.0F;
    float keys = 0.0F;
#pragma unroll 8
    for (int split = 0; split < splits; ++split) {
        const int at = me.partial(head, branch, split);
        const float4 part = team.load4(at);  // maximum, sum, keys
        const float weight = total.weight(part.x);
        total.sum = fmaf(weight, part.y, total.sum);
        sum = fmaf(weight, team.load(at + 4 + c), sum);
        keys += part.z;
    }
    return keys == 0.0F ? 0.0F : __fdividef(sum, total.sum);
}

// Gate weights and biases of this rank's heads, and its rows of the output projection, into shared memory in
// the background. Visible to all its threads after wait_copies and the next barrier.
template <class Me>
__device__ __forceinline__ void prefetch_weights(const Me& me) {
    const StepShape s = me.shape();
    const StepLayout at = me.at();
    const int hidden = s.gate_hidden;
    for (int job = 0; job < at.owned_heads; ++job) {
        const int head = me.split + job * at.splits;
        if (head >= at.heads_per_group) break;
        const int row = 3 * (me.group * at.heads_per_group + head);
        float* to = me.floats(at.gate_weights) + job * 3 * hidden;
        for (int i = static_cast<int>(threadIdx.x); i < 3 * hidden; i += kStepThreads)
            copy_word_async(shared_address(to + i), me.p.weights.gate_w2 + row * hidden + i);
        if (threadIdx.x < 3)
            copy_word_async(shared_address(me.floats(at.logits) + job * 4 + threadIdx.x),
                            me.p.weights.gate_b2 + row + threadIdx.x);
    }
    const int rows = s.dim / at.ranks;
    const int width = s.heads * s.dv;
    const float* from = me.p.weights.out + me.rank * rows * width;
    float* to = me.floats(at.out_weights);
    for (int i = static_cast<int>(threadIdx.x) * 4; i < rows * width; i += kStepThreads * 4)
        copy_async(shared_address(to + i), from + i);
    commit_copies();
}

// Logits of the gates of this rank's heads, a warp each; the biases are there already.
template <class Me, class Team>
__device__ __forceinline__ void gate_logits(const Me& me, const Team& team) {
    const int hidden = me.shape().gate_hidden;
    for (int job = me.warp; job < me.at().owned_heads * 3; job += kStepWarps) {
        const int owned = job / 3;
        if (me.split + owned * me.at().splits >= me.heads()) break;
        const float* weights = me.floats(me.at().gate_weights) + job * hidden;
        float sum = 0.0F;
        for (int i = me.lane; i < hidden; i += 32)
            sum = fmaf(weights[i], team.load(me.at().hidden + i), sum);
        sum = warp_sum(sum);
        if (me.lane == 0) me.floats(me.at().logits)[owned * 4 + job - owned * 3] += sum;
    }
}

// Outputs of the compressed and sliding branch for this rank's heads, a warp each.
template <class Me, class Team>
__device__ __forceinline__ void merge_early(const Me& me, const Team& team) {
    for (int job = me.warp; job < me.at().owned_heads * 2; job += kStepWarps) {
        const int head = me.split + job / 2 * me.at().splits;
        if (head >= me.heads()) break;
        float* merged = me.floats(me.at().merged) + job * Me::kWidth;
        for (int c = me.lane; c < Me::kWidth; c += 32)
            merged[c] = merged_output(me, team, head, job % 2 * 2, c);
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
            gates[branch] = __fdividef(1.0F, 1.0F + expf(-logits[branch]));
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
template <class Me, class Team>
__device__ __forceinline__ void mix(const Me& me, Team& team) {
    constexpr int kWidth = Me::kWidth;
    for (int job = 0; job < me.at().owned_heads; ++job) {
        const int head = me.split + job * me.at().splits;
        if (head >= me.heads()) break;
        float gates[3];
        gates_of(me.p, me.floats(me.at().logits) + job * 4, gates);
        const float* merged = me.floats(me.at().merged) + job * 2 * kWidth;
        for (int c = me.lane; c < kWidth; c += 32) {
            const float selected = merged_output(me, team, head, 1, c);
            const float mixed = gates[0] * merged[c] + gates[1] * selected + gates[2] * merged[kWidth + c];
            const int at = me.at().mixed + (me.group * me.heads() + head) * kWidth + c;
            for (int rank = me.warp; rank < team.copies(me.at().ranks); rank += kStepWarps)
                team.push(rank, at, mixed);
        }
    }
}

// Keys read by each branch of the group, from what its ranks counted for the group's first head.
template <class Me, class Team>
__device__ __forceinline__ void report_reads(const Me& me, const Team& team) {
    if (me.p.reads == nullptr || me.split != 0 || threadIdx.x >= 3) return;
    const int branch = static_cast<int>(threadIdx.x);
    float keys = 0.0F;
    for (int split = 0; split < me.at().splits; ++split)
        keys += team.load(me.partial(0, branch, split) + 2);
    me.p.reads[me.group * 3 + branch] = static_cast<int>(keys);
}

// This rank's rows of the output projection; a warp takes two at a time, `row` and `row` + kStepWarps.
template <class Me, class Team>
__device__ __forceinline__ void project_out(const Me& me, const Team& team) {
    const int rows = me.shape().dim / me.at().ranks;
    const int width = me.shape().heads * me.shape().dv;
    for (int row = me.warp; row < rows; row += 2 * kStepWarps) {
        const bool pair = row + kStepWarps < rows;
        const float* weights = me.floats(me.at().out_weights) + row * width;
        float low = 0.0F;
        float high = 0.0F;
#pragma unroll 2
        for (int i = me.lane * 4; i < width; i += 128) {
            const float4 x = team.load4(me.at().mixed + i);
            low = dot4(*reinterpret_cast<const float4*>(weights + i), x, low);
            if (pair)
                high = dot4(*reinterpret_cast<const float4*>(weights + kStepWarps * width + i), x, high);
        }
        // The upper half of the warp goes on with the second row.
        const bool upper = me.lane >= 16;
        float sum = (upper ? high : low) + __shfl_xor_sync(kAllLanes, upper ? low : high, 16);
#pragma unroll
        for (int step = 8; step > 0; step /= 2)
            sum += __shfl_xor_sync(kAllLanes, sum, step);
        if (me.lane == 0) me.p.out[me.rank * rows + row] = sum;
        if (me.lane == 16 && pair) me.p.out[me.rank * rows + row + kStepWarps] = sum;
    }
}

}  // namespace nsa::core::cuda::step
