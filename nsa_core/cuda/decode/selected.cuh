// Second kernel of a step: sliding window, selection, selected blocks, and the gated sum of the three
// branches. Grid (cluster, G, B); the thread blocks of a cluster share one sequence and group, split its
// keys, and read one another's results. The window does not wait for the first kernel.
#pragma once

#include "nsa_core/cuda/decode/outputs.cuh"
#include "nsa_core/cuda/decode/selection.cuh"
#include "nsa_core/cuda/decode/tokens.cuh"

namespace nsa::core::cuda {

template <int kDk, int kDv>
struct SelectedShared {
    struct AfterRings {
        WarpOutputs<kDv> outputs;
        BlockPartial<kDv> selected;
        ClusterWeights weights;
    };
    union {
        alignas(16) char rings[RingLayout<kDk, kDv>::kBytes];
        RankKey keys[kMaxBlocks + 1];  // between window and selected blocks
        AfterRings after;
    };
    BlockPartial<kDv> window;
    SelectionShared selection;
    WarpScales scales;
};

/// What takes the place of a step that is none: see DecodeParams.
template <class T, int kDv>
__device__ void write_no_step(const PairStep<T>& step) {
    const DecodeShape& shape = step.p.shape;
    const int heads = shape.heads_per_group();
    if (cluster_rank() != 0) return;
    const std::uint32_t nothing = step.t < 0 ? 0U : 0xFFFFFFFFU;  // two zeros, or two NaN
    std::uint32_t* out = reinterpret_cast<std::uint32_t*>(step.p.out) +
                         static_cast<std::int64_t>(step.pair()) * heads * kDv / 2;
    for (int i = threadIdx.x; i < heads * kDv / 2; i += blockDim.x)
        out[i] = nothing;
    if (step.p.blocks == nullptr) return;
    for (int i = threadIdx.x; i < shape.n; i += blockDim.x)
        step.p.blocks[step.pair() * shape.n + i] = -1;
}

template <class T>
__device__ __forceinline__ SelectionInput selection_input(const PairStep<T>& step) {
    const DecodeWorkspace& workspace = step.constants.workspace;
    const int splits = step.constants.splits;
    const int heads = step.p.shape.heads_per_group();
    const char* scratch = static_cast<const char*>(step.p.workspace);
    const std::int64_t pair = step.pair();
    const std::int64_t first_block = pair * step.constants.block_rows * heads;
    return {reinterpret_cast<const float*>(scratch + workspace.own) + first_block,
            reinterpret_cast<const float*>(scratch + workspace.last) + first_block,
            reinterpret_cast<const float*>(scratch + workspace.max) + pair * splits * heads,
            reinterpret_cast<const float*>(scratch + workspace.sum) + pair * splits * heads,
            splits,
            step.t};
}

template <class T>
__device__ __forceinline__ void report_blocks(const PairStep<T>& step, const int* blocks, int count) {
    if (step.p.blocks == nullptr || cluster_rank() != 0) return;
    const int n = step.p.shape.n;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
        step.p.blocks[step.pair() * n + i] = i < count ? blocks[i] : -1;
}

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kDecodeWarps* kWarpSize)
    selected_kernel(const __grid_constant__ DecodeParams p, const __grid_constant__ DecodeConstants constants,
                    SelectedParts parts) {
    auto& shared = *dynamic_shared<SelectedShared<kDk, kDv>>();
    const PairStep<T> step{p, constants, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y),
                           p.position[blockIdx.z]};
    if (!takes_part(step.t, step.pages(), p.shape, constants.page_tokens))
        return write_no_step<T, kDv>(step);  // the whole cluster
    cluster_arrive_relaxed();                // waited for before the first message to a neighbour

    const int heads = p.shape.heads_per_group();
    const int warp = warp_index();
    const T* q = static_cast<const T*>(p.q) + static_cast<std::int64_t>(step.pair()) * heads * kDk;
    WarpAttention<T, kDk, kDv> attention{shared.rings + warp * RingLayout<kDk, kDv>::kWarpBytes, q, heads,
                                         p.scale};
    CompressedOutputs<T, kDv> compressed{step, shared.selection.log2_sum};
    const int weighed =
        static_cast<int>(threadIdx.x) / kMaxCluster;  // head; its gates are loaded early, used last
    const HeadGates gates =
        weighed < heads ? HeadGates{step.gate(weighed, 1), step.gate(weighed, 2)} : HeadGates{};
    if (parts.window) {
        attend_window(step, attention);
        fold_warps(attention, shared.scales, shared.after.outputs, shared.window);
    }
    cluster_wait_relaxed();  // the whole cluster runs
    if (parts.selected) {
        wait_for_previous_kernel();
        const SelectionInput input = selection_input(step);
        combine_normalisers(input.maxima, input.sums, input.splits, heads, shared.selection.log2_sum);
        __syncthreads();
        compressed.fold();
        const int count = select_blocks(p.shape, input, shared.selection, shared.keys,
                                        [&](int token) { return step.row_of(token); });
        report_blocks(step, shared.selection.blocks, count);
        attention.restart();
        attend_selected(step, attention, shared.selection, count);
        fold_warps(attention, shared.scales, shared.after.outputs, shared.after.selected);
    }
    cluster_sync();
    write_outputs(step, parts, gates, compressed.out, shared.after.selected, shared.window,
                  shared.after.weights);
    cluster_arrive_relaxed();  // nobody leaves while others read its shared memory
    cluster_wait_relaxed();
}

}  // namespace nsa::core::cuda
