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
    const DecodeConstants& constants;
    int b, g, t;

    [[nodiscard]] __device__ int pair() const { return b * p.shape.groups + g; }
    [[nodiscard]] __device__ float gate(int head, int branch) const {
        const int at = (pair() * p.shape.heads_per_group() + head) * 3 + branch;
        return Half<T>::to_float(static_cast<const T*>(p.gates)[at]);
    }
    /// Row of a token in the pools of the selected and the sliding branch.
    [[nodiscard]] __device__ int row_of(int token) const {
        const int* pages = p.page_table + static_cast<std::int64_t>(b) * p.page_stride;
        return pool_row(pages, token, constants.page_tokens, g, p.shape.groups);
    }
};

// The step's own row joins the cache. The warp that reads the row is the one that writes it, so it needs no more than
// its own barrier.
template <class T, int kWidth>
__device__ __forceinline__ void append_row(const PairStep<T>& step, void* pool, const void* rows) {
    const uint4* from = reinterpret_cast<const uint4*>(static_cast<const T*>(rows) + step.pair() * kWidth);
    uint4* to = reinterpret_cast<uint4*>(static_cast<T*>(pool) + static_cast<std::int64_t>(step.row_of(step.t)) * kWidth);
    for (int i = lane_index(); i < kWidth / 8; i += kWarpSize)
        to[i] = from[i];
}

// The chunks of a warp: every so many-th, as many as the cluster has warps.
struct WarpTurn {
    int first;
    int stride;
    int count;

    [[nodiscard]] __device__ bool has(int chunk) const { return count > 0 && first + (count - 1) * stride == chunk; }
};
__device__ __forceinline__ WarpTurn turn_of_warp(int chunks) {
    const int stride = cluster_size() * kDecodeWarps;
    const int first = warp_index() * cluster_size() + cluster_rank();
    return {first, stride, first < chunks ? (chunks - first - 1) / stride + 1 : 0};
}

/// Where a chunk begins: its first token, and that token's row in the pool.
struct ChunkPlace {
    int token;
    int row;
};

/// Attends a warp's chunks of tokens that lie in [oldest, t]; place_of(i) says where chunk i begins. The own token is in
/// the last of all chunks; `appends`: that is the warp's.
template <class T, int kDk, int kDv, class PlaceOf>
__device__ __forceinline__ void attend_tokens(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention,
                                              const PagedRows& pool, const NewRows& fresh, int count, bool appends,
                                              int oldest, PlaceOf place_of) {
    if (appends) {
        append_row<T, kDk>(step, pool.k, fresh.k);
        append_row<T, kDv>(step, pool.v, fresh.v);
        __syncwarp();
    }
    const int lane = lane_index();
    const RowSource<T> rows{static_cast<const T*>(pool.k), static_cast<const T*>(pool.v)};
    const auto row_of = [&](int i) {
        const ChunkPlace place = place_of(i);  // a chunk lies within a page
        const int token = place.token + lane;
        return lane < kChunkRows && token >= oldest && token <= step.t ? place.row + lane : kHiddenRow;
    };
    const auto visible_of = [&](int i) {
        const int first = place_of(i).token;
        return Visible{oldest - first, step.t + 1 - first};
    };
    NoVisit nothing;
    attend_chunks(attention, rows, count, row_of, visible_of, nothing);
}

// Keys of a warp's chunks, from the very masks that it attended with.
template <class T, class PlaceOf>
__device__ __forceinline__ void count_reads(const PairStep<T>& step, int branch, int count, int oldest,
                                            PlaceOf place_of) {
    if (step.p.reads == nullptr || lane_index() != 0) return;
    int keys = 0;
    for (int i = 0; i < count; ++i) {
        const int first = place_of(i).token;
        keys += min(first + kChunkRows, step.t + 1) - max(first, oldest);
    }
    if (keys > 0) atomicAdd(step.p.reads + step.pair() * 3 + branch, keys);
}

template <class T, int kDk, int kDv>
__device__ __forceinline__ void attend_window(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention) {
    const int oldest = max(0, step.t - step.p.shape.w + 1);
    const int begin = oldest / kChunkRows;
    const int chunks = step.t / kChunkRows + 1 - begin;
    const WarpTurn turn = turn_of_warp(chunks);
    const auto place_of = [&](int i) {
        const int token = (begin + turn.first + i * turn.stride) * kChunkRows;
        return ChunkPlace{token, step.row_of(token)};
    };
    attend_tokens(step, attention, step.p.win, step.p.new_win, turn.count, turn.has(chunks - 1), oldest, place_of);
    count_reads(step, 2, turn.count, oldest, place_of);
}

template <class T, int kDk, int kDv>
__device__ __forceinline__ void attend_selected(const PairStep<T>& step, WarpAttention<T, kDk, kDv>& attention,
                                                const SelectionShared& selection, int count) {
    const Divisor& block_chunks = step.constants.block_chunks;
    const int each = static_cast<int>(block_chunks.divisor);
    const int l_sel = step.p.shape.l_sel;
    const int in_own_block = step.t % l_sel / kChunkRows + 1;  // the last block selected is the step's own
    const int chunks = (count - 1) * each + in_own_block;
    const WarpTurn turn = turn_of_warp(chunks);
    const auto place_of = [&](int i) {
        const int chunk = turn.first + i * turn.stride;
        const int slot = block_chunks.quotient(chunk);
        const int offset = (chunk - slot * each) * kChunkRows;
        return ChunkPlace{selection.blocks[slot] * l_sel + offset, selection.rows[slot] + offset};
    };
    attend_tokens(step, attention, step.p.sel, step.p.new_sel, turn.count, turn.has(chunks - 1), 0, place_of);
    count_reads(step, 1, turn.count, 0, place_of);
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
    constexpr int kBatch = 4;  // thread blocks whose loads are in flight together
    const int size = cluster_size();
#pragma unroll 1
    for (int first = 0; first < size; first += kBatch) {
        float4 parts[kBatch];
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            const int rank = min(first + i, size - 1);
            parts[i] = *reinterpret_cast<const float4*>(&cluster_map(&own, rank)->out[head][column]);
        }
#pragma unroll
        for (int i = 0; i < kBatch; ++i)
            if (first + i < size) add_scaled(total, weight[first + i][head], parts[i]);
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
/// before the selected rows are asked for: behind them its few loads would wait for all of theirs.
template <class T, int kDv>
class CompressedOutputs {
  public:
    static constexpr int kMost = kTileHeads * kDv / 4 / (kDecodeWarps * kWarpSize);  // with a cluster of one

    /// `log2_sum` per head; +inf when there is no token.
    __device__ CompressedOutputs(const PairStep<T>& step, const float* log2_sum)
        : step_{step}, log2_sum_{log2_sum}, splits_{step.constants.splits} {
        const DecodeWorkspace& workspace = step.constants.workspace;
        const std::int64_t first = static_cast<std::int64_t>(step.pair()) * splits_ * step.p.shape.heads_per_group();
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
    static constexpr int kBatch = 4;  // splits whose loads are in flight together

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

/// Gates of the head that a thread weighs in weigh_cluster.
struct HeadGates {
    float selected = 0.0F;
    float window = 0.0F;
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
    extern __shared__ __align__(16) char shared_bytes[];
    auto& shared = *reinterpret_cast<SelectedShared<kDk, kDv>*>(shared_bytes);
    const PairStep<T> step{p, constants, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y),
                           p.position[blockIdx.z]};
    if (step.t < 0) return write_idle<T, kDv>(step);  // the whole cluster: it shares the sequence

    const int heads = p.shape.heads_per_group();
    const int warp = warp_index();
    const T* q = static_cast<const T*>(p.q) + static_cast<std::int64_t>(step.pair()) * heads * kDk;
    WarpAttention<T, kDk, kDv> attention{shared.rings + warp * RingLayout<kDk, kDv>::kWarpBytes, q, heads, p.scale};
    CompressedOutputs<T, kDv> compressed{step, shared.selection.log2_sum};
    const int weighed = static_cast<int>(threadIdx.x) / kMaxCluster;  // head; its gates are loaded early, used last
    const HeadGates gates = weighed < heads ? HeadGates{step.gate(weighed, 1), step.gate(weighed, 2)} : HeadGates{};
    if (parts.window) {
        attend_window(step, attention);
        fold_warps(attention, shared.scales, shared.after.outputs, shared.window);
    }
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
    write_outputs(step, parts, gates, shared, compressed.out);
    cluster_sync_relaxed();  // nobody leaves while others read its shared memory
}

}  // namespace nsa::core::cuda
