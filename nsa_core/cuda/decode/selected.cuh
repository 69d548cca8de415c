// Second kernel of a step: sliding window, selection, selected blocks, and the gated sum of the three branches.
// Grid (cluster, G, B); the thread blocks of a cluster share one sequence and group, split its keys, and read one
// another's results. The window does not wait for the first kernel.
#pragma once

#include "nsa_core/cuda/decode/partials.cuh"
#include "nsa_core/cuda/decode/selection.cuh"

namespace nsa::core::cuda {

/// How much of each thread block's output, per head, goes into the step's: gate over normaliser.
struct ClusterWeights {
    float selected[kMaxCluster][kTileHeads];
    float window[kMaxCluster][kTileHeads];
};

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
    [[nodiscard]] __device__ float gate(int head, int branch) const {
        const int at = (pair() * p.shape.heads_per_group() + head) * 3 + branch;
        return Half<T>::to_float(static_cast<const T*>(p.gates)[at]);
    }
    [[nodiscard]] __device__ int pool_row_of(int token) const {
        return pool_row(pages(), token, p.shape.page_tokens, g, p.shape.groups);
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

/// The chunks of one branch, taken in turn by all warps of the cluster.
struct TokenChunks {
    const SelectionShared* selected;  // null: the tokens are consecutive
    int begin;                        // first chunk of consecutive tokens
    int chunks_per_block;
    WarpTurn turn;

    [[nodiscard]] __device__ int first_token(int i) const {
        const int chunk = turn.first + i * turn.stride;
        if (selected == nullptr) return (begin + chunk) * kChunkRows;
        return (selected->blocks[chunk / chunks_per_block] * chunks_per_block + chunk % chunks_per_block) * kChunkRows;
    }
    /// Row in the pool of the first token of the warp's chunk i.
    template <class T>
    [[nodiscard]] __device__ int first_row(int i, const PairStep<T>& step) const {
        if (selected == nullptr) return step.pool_row_of(first_token(i));
        const int chunk = turn.first + i * turn.stride;
        return selected->rows[chunk / chunks_per_block] + chunk % chunks_per_block * kChunkRows;
    }
};

__device__ __forceinline__ TokenChunks window_chunks(int t, int oldest) {
    const int begin = oldest / kChunkRows;
    return {nullptr, begin, 1, turn_of_warp(t / kChunkRows + 1 - begin)};
}

__device__ __forceinline__ TokenChunks selected_chunks(int t, int l_sel, const SelectionShared& selected, int count) {
    const int each = l_sel / kChunkRows;
    const int in_own_block = t % l_sel / kChunkRows + 1;  // the last block selected is the step's own
    return {&selected, 0, each, turn_of_warp((count - 1) * each + in_own_block)};
}

/// Attends the tokens of `chunks` that lie in [oldest, t].
template <class T, int kDk, int kDv, class Visit>
__device__ __forceinline__ void attend_tokens(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention,
                                              const PagedRows& pool, const NewRows& fresh, int branch,
                                              const TokenChunks& chunks, int oldest, Visit&& visit) {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const RowSource<T> rows{static_cast<const T*>(pool.k), static_cast<const T*>(pool.v),
                            new_row<T, kDk>(step, fresh.k), new_row<T, kDv>(step, fresh.v)};
    int keys = 0;
    const auto row_of = [&](int i) {
        const int token = chunks.first_token(i) + lane;
        const int row = chunks.first_row(i, step) + lane;  // a chunk lies within a page
        if (lane >= kChunkRows || token < oldest || token > step.t) return kHiddenRow;
        ++keys;
        return token == step.t ? kNewRow : row;
    };
    const auto visible_of = [&](int i) {
        const int first = chunks.first_token(i);
        return Visible{oldest - first, step.t + 1 - first};
    };
    attend_chunks(attention, rows, chunks.turn.count, row_of, visible_of, visit);
    if (step.p.reads != nullptr) count_reads(step.p, step.pair(), branch, keys);
}

// Weights of a branch's results in all thread blocks of the cluster; 0 for a branch without keys. A sum that is NaN is
// no empty branch. Eight lanes a head, one for each thread block; `gate` is of the lane's head.
template <int kDv>
__device__ __forceinline__ void weigh_cluster(BlockPartial<kDv>& own, float gate,
                                              float (&weights)[kMaxCluster][kTileHeads]) {
    const int head = static_cast<int>(threadIdx.x) / kMaxCluster;
    const int rank = static_cast<int>(threadIdx.x) % kMaxCluster;
    const bool used = rank < cluster_size();
    float maximum = kFloor;
    float sum = 0.0F;
    if (used) {
        const BlockPartial<kDv>& part = *cluster_map(&own, rank);
        maximum = part.maximum[head];
        sum = part.sum[head];
    }
    float largest = maximum;
    for (int step = 1; step < kMaxCluster; step *= 2)
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, step));
    const float scale = exp2_fast(maximum - largest);
    sum *= scale;
    for (int step = 1; step < kMaxCluster; step *= 2)
        sum += __shfl_xor_sync(0xffffffffU, sum, step);
    weights[rank][head] = !used || sum == 0.0F ? 0.0F : gate * scale / sum;
}

__device__ __forceinline__ void add_scaled(float4& total, float weight, const float4& x) {
    total.x += weight * x.x;
    total.y += weight * x.y;
    total.z += weight * x.z;
    total.w += weight * x.w;
}

template <int kDv>
__device__ __forceinline__ void add_cluster(float4& total, BlockPartial<kDv>& own, int head, int column,
                                            const float (&weight)[kMaxCluster][kTileHeads]) {
    const int last = cluster_size() - 1;
#pragma unroll
    for (int rank = 0; rank < kMaxCluster; ++rank) {
        // Ranks that are not there weigh nothing; reading the last one in their place keeps all loads in flight.
        const int from = min(rank, last);
        add_scaled(total, weight[rank][head],
                   *reinterpret_cast<const float4*>(&cluster_map(&own, from)->out[head][column]));
    }
}

// The share of the pair's outputs [heads, kDv] that a thread block of the cluster writes: four columns a thread, again
// and again.
template <int kDv>
struct OutputShare {
    int index;
    int stride;

    __device__ OutputShare()
        : index{cluster_rank() * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x)},
          stride{cluster_size() * static_cast<int>(blockDim.x)} {}
    [[nodiscard]] __device__ int at(int i) const { return index + i * stride; }
    [[nodiscard]] __device__ static int head(int at) { return at / (kDv / 4); }
    [[nodiscard]] __device__ static int column(int at) { return at % (kDv / 4) * 4; }
};

/// The gated compressed branch of a thread's outputs, from what the first kernel's thread blocks left. It is folded
/// while the first selected rows are on their way.
template <class T, int kDv>
class CompressedOutputs {
  public:
    static constexpr int kMost = kTileHeads * kDv / 4 / (kDecodeWarps * kWarpSize);  // with a cluster of one

    /// `log2_sum` per head; +inf when there is no token.
    __device__ CompressedOutputs(const PairStep<T>& step, const DecodeWorkspace& workspace, int splits,
                                 const float* log2_sum)
        : step_{step}, log2_sum_{log2_sum}, splits_{splits} {
        const int heads = step.p.shape.heads_per_group();
        const std::int64_t first = static_cast<std::int64_t>(step.pair()) * splits * heads;
        const char* scratch = static_cast<const char*>(step.p.workspace);
        maxima_ = reinterpret_cast<const float*>(scratch + workspace.max) + first;
        outs_ = reinterpret_cast<const float*>(scratch + workspace.out) + first * kDv;
    }

    __device__ void fold() {
        const OutputShare<kDv> share;
        const int heads = step_.p.shape.heads_per_group();
#pragma unroll 1
        for (int i = 0; i < kMost && share.at(i) < heads * kDv / 4; ++i) {
            const int head = share.head(share.at(i));
            const float* outs = outs_ + head * kDv + share.column(share.at(i));
            float4 total = {0.0F, 0.0F, 0.0F, 0.0F};
#pragma unroll 1
            for (int first = 0; first < splits_; first += kBatch)
                fold_batch(total, head, heads, first, outs);
            const float gate = step_.gate(head, 0);
            out[i] = make_float4(gate * total.x, gate * total.y, gate * total.z, gate * total.w);
        }
    }

    float4 out[kMost] = {};

  private:
    static constexpr int kBatch = 8;  // splits whose loads are in flight together

    __device__ void fold_batch(float4& total, int head, int heads, int first, const float* outs) const {
        float4 parts[kBatch];
        float maxima[kBatch];
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            const int split = min(first + i, splits_ - 1);
            parts[i] = *reinterpret_cast<const float4*>(outs + split * heads * kDv);
            maxima[i] = maxima_[split * heads + head];
        }
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            const float weight = first + i < splits_ ? exp2_fast(maxima[i] - log2_sum_[head]) : 0.0F;
            add_scaled(total, weight, parts[i]);
        }
    }

    const PairStep<T>& step_;
    const float* log2_sum_;
    const float* maxima_;
    const float* outs_;
    int splits_;
};

/// Visitor of both branches' attention.
template <class Outputs>
struct WhileSelecting {
    Outputs& outputs;
    bool selected;

    __device__ void begin() {
        if (selected) outputs.fold();
    }
    __device__ void before(int /*chunk*/, const float (&)[2][4]) {}
    __device__ void after(int /*chunk*/, const float (&)[2][4]) {}
};

/// Gates of the head that a thread weighs in weigh_cluster.
struct HeadGates {
    float selected;
    float window;
};

/// Each thread block of the cluster writes its share of the pair's outputs. `compressed`: the compressed branch's part.
template <class T, int kDk, int kDv>
__device__ __forceinline__ void write_outputs(const PairStep<T>& step, SelectedParts parts, HeadGates gates,
                                              SelectedShared<kDk, kDv>& shared, const float4* compressed) {
    const int heads = step.p.shape.heads_per_group();
    ClusterWeights& weights = shared.after.weights;
    if (parts.selected) weigh_cluster(shared.after.selected, gates.selected, weights.selected);
    if (parts.window) weigh_cluster(shared.window, gates.window, weights.window);
    __syncthreads();
    const OutputShare<kDv> share;
    T* out = static_cast<T*>(step.p.out) + static_cast<std::int64_t>(step.pair()) * heads * kDv;
#pragma unroll 1
    for (int i = 0; share.at(i) < heads * kDv / 4; ++i) {
        const int at = share.at(i);
        const int head = share.head(at);
        float4 total = compressed[i];
        if (parts.selected) add_cluster(total, shared.after.selected, head, share.column(at), weights.selected);
        if (parts.window) add_cluster(total, shared.window, head, share.column(at), weights.window);
        reinterpret_cast<uint2*>(out)[at] = make_uint2(Half<T>::pack(total.x, total.y), Half<T>::pack(total.z, total.w));
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
    const std::int64_t first_block = pair * step.p.shape.max_blocks() * heads;
    return {reinterpret_cast<const float*>(scratch + workspace.own) + first_block,
            reinterpret_cast<const float*>(scratch + workspace.last) + first_block,
            reinterpret_cast<const float*>(scratch + workspace.max) + pair * splits * heads,
            reinterpret_cast<const float*>(scratch + workspace.sum) + pair * splits * heads,
            splits,
            step.t};
}

// The step's own rows join the caches of both branches, and the selection goes to who asked for it.
template <class T, int kDk, int kDv>
__device__ __forceinline__ void append_rows(const PairStep<T>& step, SelectedParts parts) {
    if (parts.window) {
        append_row<T, kDk>(step, step.p.win.k, step.p.new_win.k);
        append_row<T, kDv>(step, step.p.win.v, step.p.new_win.v);
    }
    if (parts.selected) {
        append_row<T, kDk>(step, step.p.sel.k, step.p.new_sel.k);
        append_row<T, kDv>(step, step.p.sel.v, step.p.new_sel.v);
    }
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
    selected_kernel(const __grid_constant__ DecodeParams p, const __grid_constant__ DecodeWorkspace workspace,
                    int splits, SelectedParts parts) {
    extern __shared__ __align__(16) char shared_bytes[];
    auto& shared = *reinterpret_cast<SelectedShared<kDk, kDv>*>(shared_bytes);
    const DecodeShape& shape = p.shape;
    const PairStep<T> step{p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y), p.position[blockIdx.z]};
    if (step.t < 0) return write_idle<T, kDv>(step);  // the whole cluster: it shares the sequence

    const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
    const T* q = static_cast<const T*>(p.q) + static_cast<std::int64_t>(step.pair()) * shape.heads_per_group() * kDk;
    WarpAttention<T, kDk, kDv> attention{shared.rings + warp * RingLayout<kDk, kDv>::kWarpBytes, q,
                                         shape.heads_per_group(), p.scale};
    CompressedOutputs<T, kDv> compressed{step, workspace, splits, shared.selection.log2_sum};
    const int weighed = static_cast<int>(threadIdx.x) / kMaxCluster;  // head; loaded early, used last
    const HeadGates gates = weighed < shape.heads_per_group() ? HeadGates{step.gate(weighed, 1), step.gate(weighed, 2)}
                                                              : HeadGates{0.0F, 0.0F};
    if (cluster_rank() == 0) append_rows<T, kDk, kDv>(step, parts);
    // Window, then selected blocks: one body for both, because a step meets its code cold.
#pragma unroll 1
    for (int pass = parts.window ? 0 : 1; pass < (parts.selected ? 2 : 1); ++pass) {
        const bool window = pass == 0;
        int count = 0;
        if (!window) {
            wait_for_previous_kernel();
            count = select_blocks(shape, selection_input(step, workspace, splits), shared.selection,
                                  shared.keys, [&](int token) { return step.pool_row_of(token); });
            report_blocks(step, shared.selection.blocks, count);
            attention.restart();
        }
        const int oldest = window ? max(0, step.t - shape.w + 1) : 0;
        const TokenChunks chunks = window ? window_chunks(step.t, oldest)
                                          : selected_chunks(step.t, shape.l_sel, shared.selection, count);
        attend_tokens(step, attention, window ? p.win : p.sel, window ? p.new_win : p.new_sel, window ? 2 : 1, chunks,
                      oldest, WhileSelecting{compressed, !window});
        fold_warps(attention, shared.scales, shared.after.outputs, window ? shared.window : shared.after.selected);
    }
    cluster_sync();
    write_outputs(step, parts, gates, shared, compressed.out);
    cluster_sync();  // nobody leaves while others read its shared memory
}

}  // namespace nsa::core::cuda
