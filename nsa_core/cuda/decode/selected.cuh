// Second kernel of a step: sliding window, selection, selected blocks, and the gated sum of the three branches.
// Grid (cluster, G, B); the thread blocks of a cluster share one sequence and group, split its keys, and read one
// another's results. The window does not wait for the first kernel.
#pragma once

#include "nsa_core/cuda/decode/partials.cuh"
#include "nsa_core/cuda/decode/selection.cuh"

namespace nsa::core::cuda {

template <int kDk, int kDv>
struct SelectedShared {
    alignas(16) char rings[RingLayout<kDk, kDv>::kBytes];
    BlockPartial<kDv> window;
    SelectionShared selection;

    // What takes the rings' place once they are idle.
    struct AfterRings {
        BlockPartial<kDv> warps[kDecodeWarps];  // see fold_warps
        BlockPartial<kDv> selected;
    };
    static_assert(sizeof(AfterRings) <= sizeof(rings) && kPoolKeys * sizeof(RankKey) <= sizeof(rings));
};

/// Which branches a launch computes; one that is left out counts as a branch without keys.
struct SelectedParts {
    bool selected = true;  // and the compressed output that the first kernel left
    bool window = true;
};

template <class T>
struct PairStep {
    const DecodeParams& p;
    int b, g, t;

    [[nodiscard]] __device__ int pair() const { return b * p.shape.groups + g; }
    [[nodiscard]] __device__ const int* pages() const { return p.page_table + b * p.page_stride; }
    /// Row of a token up to t.
    [[nodiscard]] __device__ int row_of(int token) const {
        return token == t ? kNewRow : pool_row(pages(), token, p.shape.page_tokens, g, p.shape.groups);
    }
};

template <class T, int kWidth>
__device__ __forceinline__ const T* new_row(const PairStep<T>& step, const void* rows) {
    return static_cast<const T*>(rows) + step.pair() * kWidth;
}

// Nobody reads this row from the pool in this step: see kNewRow.
template <class T, int kWidth>
__device__ __forceinline__ void append_row(const PairStep<T>& step, void* pool, const void* rows) {
    const DecodeShape& shape = step.p.shape;
    const std::int64_t row = pool_row(step.pages(), step.t, shape.page_tokens, step.g, shape.groups);
    for (int i = threadIdx.x; i < kWidth; i += blockDim.x)
        static_cast<T*>(pool)[row * kWidth + i] = new_row<T, kWidth>(step, rows)[i];
}

// Every kParts-th chunk of `chunks`, from the warp's own place in the cluster.
struct WarpTurn {
    int first;
    int stride;
    int count;
};
__device__ __forceinline__ WarpTurn turn_of_warp(int chunks) {
    const int stride = cluster_size() * kDecodeWarps;
    const int first = static_cast<int>(threadIdx.x) / kWarpSize * cluster_size() + cluster_rank();
    return {first, stride, first < chunks ? (chunks - first - 1) / stride + 1 : 0};
}

__device__ __forceinline__ void count_reads(const DecodeParams& p, int pair, int branch, int keys) {
    for (int step = 1; step < kWarpSize; step *= 2)
        keys += __shfl_xor_sync(0xffffffffU, keys, step);
    if (threadIdx.x % kWarpSize == 0 && keys > 0) atomicAdd(p.reads + pair * 3 + branch, keys);
}

/// Attends tokens that come in chunks of 16: first_of(i) is the first token of the warp's chunk i, and tokens in
/// [oldest, t] are seen.
template <class T, int kDk, int kDv, class FirstOf>
__device__ __forceinline__ void attend_tokens(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention,
                                              const PagedRows& pool, const NewRows& fresh, int branch, int count,
                                              int oldest, FirstOf first_of) {
    const int lane = threadIdx.x % kWarpSize;
    const RowSource<T> rows{static_cast<const T*>(pool.k), static_cast<const T*>(pool.v),
                            new_row<T, kDk>(step, fresh.k), new_row<T, kDv>(step, fresh.v)};
    int keys = 0;
    const auto row_of = [&](int i) {
        const int token = first_of(i) + lane;
        if (lane >= kChunkRows || token < oldest || token > step.t) return kHiddenRow;
        ++keys;
        return step.row_of(token);
    };
    NoVisit nothing;
    attend_chunks(
        attention, rows, count, row_of,
        [&](int i) { return Visible{oldest - first_of(i), step.t + 1 - first_of(i)}; }, nothing);
    if (step.p.reads != nullptr) count_reads(step.p, step.pair(), branch, keys);
}

template <class T, int kDk, int kDv>
__device__ __forceinline__ void attend_window(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention) {
    const int oldest = max(0, step.t - step.p.shape.w + 1);
    const int begin = oldest / kChunkRows;
    const WarpTurn turn = turn_of_warp(step.t / kChunkRows + 1 - begin);
    attend_tokens(step, attention, step.p.win, step.p.new_win, 2, turn.count, oldest,
                  [&](int i) { return (begin + turn.first + i * turn.stride) * kChunkRows; });
}

template <class T, int kDk, int kDv>
__device__ __forceinline__ void attend_selected(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention,
                                                const int* blocks, int count) {
    const int l_sel = step.p.shape.l_sel;
    const int chunks_per_block = l_sel / kChunkRows;
    const int in_own_block = step.t % l_sel / kChunkRows + 1;  // the last block selected is the step's own
    const WarpTurn turn = turn_of_warp((count - 1) * chunks_per_block + in_own_block);
    attend_tokens(step, attention, step.p.sel, step.p.new_sel, 1, turn.count, 0, [&](int i) {
        const int chunk = turn.first + i * turn.stride;
        return blocks[chunk / chunks_per_block] * l_sel + chunk % chunks_per_block * kChunkRows;
    });
}

/// A running fold of partial results of one output element pair.
struct Fold {
    float maximum = kFloor;
    float sum = 0.0F;
    float2 out = {0.0F, 0.0F};

    __device__ void add(float other_maximum, float other_sum, float2 other_out) {
        const float next = fmaxf(maximum, other_maximum);
        const float mine = exp2_fast(maximum - next);
        const float theirs = exp2_fast(other_maximum - next);
        maximum = next;
        sum = sum * mine + other_sum * theirs;
        out.x = out.x * mine + other_out.x * theirs;
        out.y = out.y * mine + other_out.y * theirs;
    }
    /// Adds the gated result; a branch without keys gives 0. A sum that is NaN is no empty branch.
    __device__ void gate_into(float2& total, float gate) const {
        if (sum == 0.0F) return;
        total.x += gate * (out.x / sum);
        total.y += gate * (out.y / sum);
    }
};

template <int kDv>
__device__ __forceinline__ Fold fold_cluster(BlockPartial<kDv>& own, int head, int column) {
    Fold fold;
    for (int rank = 0; rank < cluster_size(); ++rank) {
        const BlockPartial<kDv>& part = *cluster_map(&own, rank);
        fold.add(part.maximum[head], part.sum[head], *reinterpret_cast<const float2*>(&part.out[head][column]));
    }
    return fold;
}

template <int kDv>
__device__ __forceinline__ Fold fold_splits(const DecodeParams& p, const DecodeWorkspace& workspace, int splits,
                                            int pair, int head, int column) {
    const int heads = p.shape.heads_per_group();
    const char* scratch = static_cast<const char*>(p.workspace);
    Fold fold;
#pragma unroll 4
    for (int split = 0; split < splits; ++split) {
        const std::int64_t at = (static_cast<std::int64_t>(pair) * splits + split) * heads + head;
        fold.add(reinterpret_cast<const float*>(scratch + workspace.max)[at],
                 reinterpret_cast<const float*>(scratch + workspace.sum)[at],
                 *reinterpret_cast<const float2*>(reinterpret_cast<const float*>(scratch + workspace.out) + at * kDv +
                                                  column));
    }
    return fold;
}

/// Each thread block of the cluster writes its share of the pair's outputs.
template <class T, int kDv>
__device__ __forceinline__ void write_outputs(const PairStep<T>& step, const DecodeWorkspace& workspace, int splits,
                                              SelectedParts parts, BlockPartial<kDv>& window,
                                              BlockPartial<kDv>& selected) {
    const int heads = step.p.shape.heads_per_group();
    const int first_head = step.pair() * heads;
    const int threads = cluster_size() * static_cast<int>(blockDim.x);
    for (int i = cluster_rank() * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x);
         i < heads * kDv / 2; i += threads) {
        const int head = i / (kDv / 2);
        const int column = i % (kDv / 2) * 2;
        const T* gates = static_cast<const T*>(step.p.gates) + (first_head + head) * 3;
        float2 total = {0.0F, 0.0F};
        if (parts.selected) {
            fold_splits<kDv>(step.p, workspace, splits, step.pair(), head, column)
                .gate_into(total, Half<T>::to_float(gates[0]));
            fold_cluster(selected, head, column).gate_into(total, Half<T>::to_float(gates[1]));
        }
        if (parts.window) fold_cluster(window, head, column).gate_into(total, Half<T>::to_float(gates[2]));
        const std::int64_t at = (static_cast<std::int64_t>(first_head) + head) * kDv + column;
        reinterpret_cast<std::uint32_t*>(step.p.out)[at / 2] = Half<T>::pack(total.x, total.y);
    }
}

template <class T, int kDv>
__device__ void write_idle(const PairStep<T>& step) {
    const DecodeShape& shape = step.p.shape;
    const int heads = shape.heads_per_group();
    if (cluster_rank() != 0) return;
    std::uint32_t* out = reinterpret_cast<std::uint32_t*>(step.p.out) +
                         static_cast<std::int64_t>(step.pair()) * heads * kDv / 2;
    for (int i = threadIdx.x; i < heads * kDv / 2; i += blockDim.x)
        out[i] = 0;
    if (step.p.blocks == nullptr) return;
    for (int i = threadIdx.x; i < shape.n; i += blockDim.x)
        step.p.blocks[step.pair() * shape.n + i] = -1;
}

template <class T>
__device__ __forceinline__ SelectionInput selection_input(const PairStep<T>& step, const DecodeWorkspace& workspace,
                                                          int splits) {
    const int heads = step.p.shape.heads_per_group();
    const char* scratch = static_cast<const char*>(step.p.workspace);
    const std::int64_t pair = step.pair();
    return {reinterpret_cast<const float*>(scratch + workspace.importance) + pair * step.p.shape.max_blocks() * heads,
            reinterpret_cast<const float*>(scratch + workspace.max) + pair * splits * heads,
            reinterpret_cast<const float*>(scratch + workspace.sum) + pair * splits * heads, splits, step.t};
}

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kDecodeWarps* kWarpSize)
    selected_kernel(const __grid_constant__ DecodeParams p, const __grid_constant__ DecodeWorkspace workspace,
                    int splits, SelectedParts parts) {
    extern __shared__ __align__(16) char shared_bytes[];
    using Shared = SelectedShared<kDk, kDv>;
    auto& shared = *reinterpret_cast<Shared*>(shared_bytes);
    auto& after = *reinterpret_cast<typename Shared::AfterRings*>(shared.rings);
    const DecodeShape& shape = p.shape;
    const PairStep<T> step{p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y), p.position[blockIdx.z]};
    if (step.t < 0) return write_idle<T, kDv>(step);  // the whole cluster: it shares the sequence

    const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
    const T* q = static_cast<const T*>(p.q) + static_cast<std::int64_t>(step.pair()) * shape.heads_per_group() * kDk;
    WarpAttention<T, kDk, kDv> attention{shared.rings + warp * RingLayout<kDk, kDv>::kWarpBytes, q,
                                         shape.heads_per_group(), p.scale};
    if (parts.window) {
        attend_window(step, attention);
        if (cluster_rank() == 0) {
            append_row<T, kDk>(step, p.win.k, p.new_win.k);
            append_row<T, kDv>(step, p.win.v, p.new_win.v);
        }
        fold_warps(attention, shared.rings, shared.window);
    }
    if (parts.selected) {
        wait_for_previous_kernel();
        const int count = select_blocks(shape, selection_input(step, workspace, splits), shared.selection,
                                        reinterpret_cast<RankKey*>(shared.rings));
        attention.restart();
        attend_selected(step, attention, shared.selection.blocks, count);
        if (cluster_rank() == 0) {
            append_row<T, kDk>(step, p.sel.k, p.new_sel.k);
            append_row<T, kDv>(step, p.sel.v, p.new_sel.v);
            if (p.blocks != nullptr) {
                for (int i = threadIdx.x; i < shape.n; i += blockDim.x)
                    p.blocks[step.pair() * shape.n + i] = i < count ? shared.selection.blocks[i] : -1;
            }
        }
        fold_warps(attention, shared.rings, after.selected);
    }
    cluster_sync();
    write_outputs<T, kDv>(step, workspace, splits, parts, shared.window, after.selected);
    cluster_sync();  // nobody leaves while others read its shared memory
}

}  // namespace nsa::core::cuda
