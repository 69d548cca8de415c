// First kernel of a step: the compressed branch. Grid (splits, G, B); each thread block takes a range of the
// compressed tokens and leaves its partial output and the importance of its selection blocks in the
// workspace. It also emits the compressed token that the step's token completes, and appends the raw one.
#pragma once

#include "nsa_core/cuda/decode/emission.cuh"
#include "nsa_core/cuda/decode/geometry.cuh"
#include "nsa_core/cuda/decode/partials.cuh"

namespace nsa::core::cuda {

/// Leaves what the importance of the selection blocks is made of (Eq. 9), per head and in log2 units, because
/// no head's normaliser is known yet: `own` = log2 sum_i weight_i 2^score_i over the tokens 4j .. 4j+3, which
/// begin in block j, and `last` = score of token 4j+3, which reaches into block j+1 when l = 2 d. Weights in
/// units of d: 2, 2, 2, 1, and 1 for `last`; when l = d, 1 for all and 0.
template <class Attention>
class BlockImportance {
  public:
    /// `own`, `last` [blocks, heads] of the warp's first chunk.
    __device__ BlockImportance(const Attention& attention, float* own, float* last, int heads,
                               bool overlapping)
        : attention_{attention}, heads_{heads}, inner_{overlapping ? 2.0F : 1.0F} {
        const int lane = lane_index();
        const int offset =
            lane % 4 / 2 * heads + lane / 4;  // a lane pair holds the four own tokens of a block
        place_ = (is_even() ? own : last) + offset;
        writes_[0] = lane / 4 < heads;
        writes_[1] = lane / 4 + 8 < heads;
    }

    __device__ void before(int /*chunk*/, const float (&s)[2][4]) {
        if (!is_even()) write(s[0][1], s[0][3], s[1][1], s[1][3]);
    }

    __device__ void after(int /*chunk*/, const float (&p)[2][4]) {
        float total[2][2];
#pragma unroll
        for (int tile = 0; tile < 2; ++tile) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float a = p[tile][2 * half];
                const float b = p[tile][2 * half + 1];
                const float mine = inner_ * a + (is_even() ? inner_ * b : b);
                const float sum = mine + __shfl_xor_sync(0xffffffffU, mine, 1);
                total[tile][half] = attention_.maximum[half] + log2_fast(sum);
            }
        }
        if (is_even()) write(total[0][0], total[0][1], total[1][0], total[1][1]);
        place_ += kBlocksPerChunk * heads_;
    }

  private:
    __device__ static bool is_even() {
        return threadIdx.x % 2 == 0;
    }

    // Heads lane/4 and lane/4 + 8 of the lane's block in the first tile, then in the second.
    __device__ void write(float first, float first_high, float second, float second_high) const {
        if (writes_[0]) place_[0] = first;
        if (writes_[1]) place_[8] = first_high;
        if (writes_[0]) place_[2 * heads_] = second;
        if (writes_[1]) place_[2 * heads_ + 8] = second_high;
    }

    const Attention& attention_;
    float* place_;
    int heads_;
    float inner_;
    bool writes_[2];
};

template <int kDv>
__device__ __forceinline__ void write_partial(const DecodeParams& p, int pair,
                                              const BlockPartial<kDv>& partial,
                                              const DecodeWorkspace& workspace) {
    const int heads = p.shape.heads_per_group();
    char* scratch = static_cast<char*>(p.workspace);
    const std::int64_t first = (static_cast<std::int64_t>(pair) * gridDim.x + blockIdx.x) * heads;
    float4* out = reinterpret_cast<float4*>(reinterpret_cast<float*>(scratch + workspace.out) + first * kDv);
    for (int i = static_cast<int>(threadIdx.x); i < heads * kDv / 4; i += static_cast<int>(blockDim.x))
        out[i] = reinterpret_cast<const float4*>(&partial.out[0][0])[i];
    if (static_cast<int>(threadIdx.x) < heads) {
        const int head = static_cast<int>(threadIdx.x);
        reinterpret_cast<float*>(scratch + workspace.max)[first + head] = partial.maximum[head];
        reinterpret_cast<float*>(scratch + workspace.sum)[first + head] = partial.sum[head];
    }
}

template <int kDk, int kDv>
struct CompressedShared {
    union {
        alignas(16) char rings[RingLayout<kDk, kDv>::kBytes];
        MeanScratch mean;
        WarpOutputs<kDv> outputs;
    };
    BlockPartial<kDv> partial;
    WarpScales scales;
};

// A warp's share of the chunks [begin, end).
struct ChunkRange {
    int begin;
    int count;
};
__device__ __forceinline__ ChunkRange share_of(int begin, int end, int part, int parts) {
    const int each = (end - begin + parts - 1) / parts;
    const int first = min(begin + part * each, end);
    return {first, min(first + each, end) - first};
}

template <class T, int kDk, int kDv>
__device__ __forceinline__ void attend_compressed(const DecodeParams& p, const DecodeConstants& constants,
                                                  const int* pages, const RawToken& step, ChunkRange mine,
                                                  WarpAttention<T, kDk, kDv>& attention) {
    const DecodeShape& shape = p.shape;
    const int lane = lane_index();
    const int group = static_cast<int>(blockIdx.y);
    const int visible = visible_compressed(step.t, shape);
    const int heads = shape.heads_per_group();
    const std::int64_t first_block =
        static_cast<std::int64_t>(step.pair) * constants.block_rows + mine.begin * kBlocksPerChunk;
    char* scratch = static_cast<char*>(p.workspace);
    BlockImportance visit{attention,
                          reinterpret_cast<float*>(scratch + constants.workspace.own) + first_block * heads,
                          reinterpret_cast<float*>(scratch + constants.workspace.last) + first_block * heads,
                          heads, shape.l > shape.d};
    const RowSource<T> rows{static_cast<const T*>(p.cmp.k), static_cast<const T*>(p.cmp.v)};
    const auto first_of = [&](int i) { return (mine.begin + i) * kChunkRows; };
    const auto row_of = [&](int i) {
        const int token = first_of(i) + lane;
        if (lane >= kChunkRows || token >= visible) return kHiddenRow;
        return pool_row(pages, token, constants.page_compressed, group, shape.groups);
    };
    attend_chunks(
        attention, rows, mine.count, row_of,
        [&](int i) {
            return Visible{0, visible - first_of(i)};
        },
        visit);
    const int keys = max(0, min(visible - mine.begin * kChunkRows, mine.count * kChunkRows));
    if (p.reads != nullptr && lane == 0 && keys > 0) atomicAdd(p.reads + step.pair * 3, keys);
}

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kDecodeWarps* kWarpSize)
    compressed_kernel(const __grid_constant__ DecodeParams p,
                      const __grid_constant__ DecodeConstants constants) {
    auto& shared = *dynamic_shared<CompressedShared<kDk, kDv>>();
    allow_dependents();
    const DecodeShape& shape = p.shape;
    const int sequence = static_cast<int>(blockIdx.z);
    const int group = static_cast<int>(blockIdx.y);
    const RawToken step{p, sequence * shape.groups + group, p.position[sequence]};
    const int* pages = p.page_table + static_cast<std::int64_t>(sequence) * p.page_stride;
    if (!takes_part(step.t, pages, shape, constants.page_tokens))
        return;  // the second kernel does not look at the workspace either

    const int visible = visible_compressed(step.t, shape);
    const ChunkRange block =
        share_of(0, compressed_chunks(visible), static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
    const int emitted = visible - 1;  // when the step completes a token, it is the last that it sees
    if (completes_compressed(step.t, shape) && emitted / kChunkRows >= block.begin &&
        emitted / kChunkRows < block.begin + block.count) {
        const std::int64_t row = pool_row(pages, emitted, constants.page_compressed, group, shape.groups);
        emit<T, kDk, kDv>(step, static_cast<T*>(p.cmp.k) + row * kDk, static_cast<T*>(p.cmp.v) + row * kDv,
                          shared.mean);
    }

    const int warp = warp_index();
    const T* q =
        static_cast<const T*>(p.q) + static_cast<std::int64_t>(step.pair) * shape.heads_per_group() * kDk;
    WarpAttention<T, kDk, kDv> attention{shared.rings + warp * RingLayout<kDk, kDv>::kWarpBytes, q,
                                         shape.heads_per_group(), p.scale};
    attend_compressed(p, constants, pages, step,
                      share_of(block.begin, block.begin + block.count, warp, kDecodeWarps), attention);
    if (blockIdx.x == 0) {
        append_raw<T, kDk>(step, p.raw.k, p.new_cmp.k);
        append_raw<T, kDv>(step, p.raw.v, p.new_cmp.v);
    }
    fold_warps(attention, shared.scales, shared.outputs, shared.partial);
    write_partial(p, step.pair, shared.partial, constants.workspace);
}

}  // namespace nsa::core::cuda
