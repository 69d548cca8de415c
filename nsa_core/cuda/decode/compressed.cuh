// First kernel of a step: the compressed branch. Grid (splits, G, B); each thread block takes a range of the
// compressed tokens and leaves its partial output and the importance of its selection blocks in the workspace. It
// also emits the compressed token that the step's token completes, and appends the raw one.
#pragma once

#include "nsa_core/cuda/decode/emission.cuh"
#include "nsa_core/cuda/decode/geometry.cuh"
#include "nsa_core/cuda/decode/partials.cuh"

namespace nsa::core::cuda {

/// Leaves what the importance of the selection blocks is made of (Eq. 9), per head and in log2 units, because no head's
/// normaliser is known yet: `own` = log2 sum_i weight_i 2^score_i over the tokens 4j .. 4j+3, which begin in block j,
/// and `last` = score of token 4j+3, which reaches into block j+1 when l = 2 d. Weights in units of d: 2, 2, 2, 1, and
/// 1 for `last`; when l = d, 1 for all and 0.
template <class Attention>
class BlockImportance {
  public:
    /// `own`, `last` [blocks, heads] of the pair. `first_chunk`: the warp's.
    __device__ BlockImportance(const Attention& attention, float* own, float* last, int first_chunk, int blocks,
                               int heads, bool overlapping)
        : attention_{attention},
          own_{own},
          last_{last},
          first_block_{first_chunk * kBlocksPerChunk},
          blocks_{blocks},
          heads_{heads},
          inner_{overlapping ? 2.0F : 1.0F} {}

    __device__ void begin() {}

    __device__ void before(int chunk, const float (&s)[2][4]) {
        if (in_even_lane()) return;
        for_each_block(chunk, [&](int tile, int half, int at) { last_[at] = s[tile][2 * half + 1]; });
    }

    // A lane pair holds the four own tokens of a block.
    __device__ void after(int chunk, const float (&p)[2][4]) {
        float total[2][2];
#pragma unroll
        for (int tile = 0; tile < 2; ++tile) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float a = p[tile][2 * half];
                const float b = p[tile][2 * half + 1];
                const float mine = inner_ * a + (in_even_lane() ? inner_ * b : b);
                total[tile][half] = mine + __shfl_xor_sync(0xffffffffU, mine, 1);
            }
        }
        if (!in_even_lane()) return;
        for_each_block(chunk, [&](int tile, int half, int at) {
            own_[at] = attention_.maximum[half] + log2_fast(total[tile][half]);
        });
    }

  private:
    __device__ static bool in_even_lane() { return threadIdx.x % 2 == 0; }

    // The lane's blocks of a chunk that exist: tile, half of the fragment, and place in own and last.
    template <class Do>
    __device__ void for_each_block(int chunk, Do action) const {
        const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
        for (int tile = 0; tile < 2; ++tile) {
            const int block = first_block_ + chunk * kBlocksPerChunk + tile * 2 + lane % 4 / 2;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int head = lane / 4 + 8 * half;
                if (block < blocks_ && head < heads_) action(tile, half, block * heads_ + head);
            }
        }
    }

    const Attention& attention_;
    float* own_;
    float* last_;
    int first_block_;
    int blocks_;
    int heads_;
    float inner_;
};

template <int kDv>
__device__ __forceinline__ void write_partial(const DecodeParams& p, int pair, const BlockPartial<kDv>& partial,
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
__device__ __forceinline__ void attend_compressed(const DecodeParams& p, const int* pages, const RawToken& step,
                                                  ChunkRange mine, WarpAttention<T, kDk, kDv>& attention,
                                                  const DecodeWorkspace& workspace) {
    const DecodeShape& shape = p.shape;
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const int group = static_cast<int>(blockIdx.y);
    const int visible = visible_compressed(step.t, shape);
    const RowSource<T> rows{static_cast<const T*>(p.cmp.k), static_cast<const T*>(p.cmp.v), nullptr, nullptr};
    const auto row_at = [&](int token) {
        return token < visible ? pool_row(pages, token, shape.page_tokens / shape.d, group, shape.groups)
                               : kHiddenRow;
    };
    const std::int64_t first = static_cast<std::int64_t>(step.pair) * shape.max_blocks() * shape.heads_per_group();
    char* scratch = static_cast<char*>(p.workspace);
    BlockImportance visit{attention,
                          reinterpret_cast<float*>(scratch + workspace.own) + first,
                          reinterpret_cast<float*>(scratch + workspace.last) + first,
                          mine.begin,
                          visible_blocks(step.t, shape),
                          shape.heads_per_group(),
                          shape.l > shape.d};
    const auto first_of = [&](int i) { return (mine.begin + i) * kChunkRows; };
    attend_chunks(
        attention, rows, mine.count, [&](int i) { return lane < kChunkRows ? row_at(first_of(i) + lane) : kHiddenRow; },
        [&](int i) { return Visible{0, visible - first_of(i)}; }, visit);
    const int keys = max(0, min(visible - mine.begin * kChunkRows, mine.count * kChunkRows));
    if (p.reads != nullptr && lane == 0 && keys > 0) atomicAdd(p.reads + step.pair * 3, keys);
}

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kDecodeWarps* kWarpSize)
    compressed_kernel(const __grid_constant__ DecodeParams p, const __grid_constant__ DecodeWorkspace workspace) {
    extern __shared__ __align__(16) char shared_bytes[];
    auto& shared = *reinterpret_cast<CompressedShared<kDk, kDv>*>(shared_bytes);
    allow_dependents();
    const DecodeShape& shape = p.shape;
    const int sequence = static_cast<int>(blockIdx.z);
    const int group = static_cast<int>(blockIdx.y);
    const RawToken step{p, sequence * shape.groups + group, p.position[sequence]};
    if (step.t < 0) return;  // an idle slot: the second kernel does not look at the workspace either

    const int* pages = p.page_table + static_cast<std::int64_t>(sequence) * p.page_stride;
    const int visible = visible_compressed(step.t, shape);
    const ChunkRange block =
        share_of(0, compressed_chunks(visible), static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
    const int emitted = visible - 1;  // when the step completes a token, it is the last that it sees
    if (completes_compressed(step.t, shape) && emitted / kChunkRows >= block.begin &&
        emitted / kChunkRows < block.begin + block.count) {
        const std::int64_t row = pool_row(pages, emitted, shape.page_tokens / shape.d, group, shape.groups);
        emit_mean<T, kDk>(step, p.raw.k, p.new_cmp.k, static_cast<T*>(p.cmp.k) + row * kDk, shared.mean);
        emit_mean<T, kDv>(step, p.raw.v, p.new_cmp.v, static_cast<T*>(p.cmp.v) + row * kDv, shared.mean);
    }

    const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
    const T* q = static_cast<const T*>(p.q) + static_cast<std::int64_t>(step.pair) * shape.heads_per_group() * kDk;
    WarpAttention<T, kDk, kDv> attention{shared.rings + warp * RingLayout<kDk, kDv>::kWarpBytes, q,
                                         shape.heads_per_group(), p.scale};
    attend_compressed(p, pages, step, share_of(block.begin, block.begin + block.count, warp, kDecodeWarps), attention,
                      workspace);
    if (blockIdx.x == 0) {
        append_raw<T, kDk>(step, p.raw.k, p.new_cmp.k);
        append_raw<T, kDv>(step, p.raw.v, p.new_cmp.v);
    }
    fold_warps(attention, shared.scales, shared.outputs, shared.partial);
    write_partial(p, step.pair, shared.partial, workspace);
}

}  // namespace nsa::core::cuda
