// The gated sum of the three branches, from results that lie in the workspace (compressed) and in the shared
// memory of a cluster (selected, window).
#pragma once

#include "nsa_core/cuda/decode/pair_step.cuh"
#include "nsa_core/cuda/decode/partials.cuh"

namespace nsa::core::cuda {

/// Which branches a launch computes; one that is left out counts as a branch without keys.
struct SelectedParts {
    bool selected = true;  // and the compressed output that the first kernel left
    bool window = true;
};

/// How much of each thread block's output, per head, goes into the step's: gate over normaliser.
struct ClusterWeights {
    float selected[kMaxCluster][kTileHeads];
    float window[kMaxCluster][kTileHeads];
};

// Weights of a branch's results in all thread blocks of the cluster; 0 for a branch without keys. A sum that
// is NaN is no empty branch. Eight lanes a head, one for each thread block; `gate` is of the lane's head.
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

// The share of the pair's outputs [heads, kDv] that a thread block of the cluster writes: four columns a
// thread, again and again.
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

/// The gated compressed branch of a thread's outputs, from what the first kernel's thread blocks left. It is
/// folded before the selected rows are asked for: behind them its few loads would wait for all of theirs.
template <class T, int kDv>
class CompressedOutputs {
  public:
    static constexpr int kMost = kTileHeads * kDv / 4 / (kDecodeWarps * kWarpSize);  // with a cluster of one

    /// `log2_sum` per head; +inf when there is no token.
    __device__ CompressedOutputs(const PairStep<T>& step, const float* log2_sum)
        : step_{step}, log2_sum_{log2_sum}, splits_{step.constants.splits} {
        const DecodeWorkspace& workspace = step.constants.workspace;
        const std::int64_t first =
            static_cast<std::int64_t>(step.pair()) * splits_ * step.p.shape.heads_per_group();
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

/// Each thread block of the cluster writes its share of the pair's outputs. `compressed`: the compressed
/// branch's part.
template <class T, int kDv>
__device__ __forceinline__ void write_outputs(const PairStep<T>& step, SelectedParts parts, HeadGates gates,
                                              const float4* compressed, BlockPartial<kDv>& selected,
                                              BlockPartial<kDv>& window, ClusterWeights& weights) {
    const int heads = step.p.shape.heads_per_group();
    if (parts.selected) weigh_cluster(selected, gates.selected, weights.selected);
    if (parts.window) weigh_cluster(window, gates.window, weights.window);
    __syncthreads();
    const OutputShare<kDv> share;
    T* out = static_cast<T*>(step.p.out) + static_cast<std::int64_t>(step.pair()) * heads * kDv;
#pragma unroll 1
    for (int i = 0; share.at(i) < heads * kDv / 4; ++i) {
        const int at = share.at(i);
        const int head = share.head(at);
        float4 total = compressed[i];
        if (parts.selected) add_cluster(total, selected, head, share.column(at), weights.selected);
        if (parts.window) add_cluster(total, window, head, share.column(at), weights.window);
        reinterpret_cast<uint2*>(out)[at] =
            make_uint2(Half<T>::pack(total.x, total.y), Half<T>::pack(total.z, total.w));
    }
}

}  // namespace nsa::core::cuda
