// First kernel of a step: the compressed branch. Grid (splits, G, B); each thread block takes a range of the
// compressed tokens and leaves its partial output and the importance of its selection blocks in the workspace. It
// also emits the compressed token that the step's token completes, and appends the raw one.
#pragma once

#include "nsa_core/cuda/decode/geometry.cuh"
#include "nsa_core/cuda/decode/partials.cuh"

namespace nsa::core::cuda {

inline constexpr int kTokensPerBlock = 4;  // l' / d: the compressed tokens that begin in a selection block
inline constexpr int kBlocksPerChunk = kChunkRows / kTokensPerBlock;

inline constexpr int kNone = -2;  // no token: below every index that a range can ask for

template <class T>
struct CompressedStep {
    const DecodeParams& p;
    int b, g, t;

    [[nodiscard]] __device__ int pair() const { return b * p.shape.groups + g; }
};

// Mean of the raw rows [t - l + 1, t], summed in fp32 and rounded once. The own row comes from the step's input.
template <class T, int kWidth>
__device__ __forceinline__ void emit_mean(const CompressedStep<T>& step, const void* ring, const void* new_rows,
                                          void* pool, int pool_row_index) {
    const DecodeShape& shape = step.p.shape;
    const T* rows = static_cast<const T*>(ring) + static_cast<std::int64_t>(step.pair()) * shape.l * kWidth;
    const T* own = static_cast<const T*>(new_rows) + step.pair() * kWidth;
    T* to = static_cast<T*>(pool) + static_cast<std::int64_t>(pool_row_index) * kWidth;
    for (int pair = threadIdx.x; pair < kWidth / 2; pair += blockDim.x) {
        float2 total = Half<T>::unpack(reinterpret_cast<const std::uint32_t*>(own)[pair]);
#pragma unroll 16
        for (int back = 1; back < shape.l; ++back) {
            const int row = (step.t - back) % shape.l;
            const float2 x = Half<T>::unpack(reinterpret_cast<const std::uint32_t*>(rows + row * kWidth)[pair]);
            total.x += x.x;
            total.y += x.y;
        }
        const float share = 1.0F / static_cast<float>(shape.l);
        reinterpret_cast<std::uint32_t*>(to)[pair] = Half<T>::pack(total.x * share, total.y * share);
    }
}

template <class T, int kWidth>
__device__ __forceinline__ void append_raw(const CompressedStep<T>& step, void* ring, const void* new_rows) {
    const int l = step.p.shape.l;
    T* to = static_cast<T*>(ring) + (static_cast<std::int64_t>(step.pair()) * l + step.t % l) * kWidth;
    const T* from = static_cast<const T*>(new_rows) + step.pair() * kWidth;
    for (int i = threadIdx.x; i < kWidth; i += blockDim.x)
        to[i] = from[i];
}

/// Turns the probabilities of each chunk into the importance of its selection blocks, per head: the sum of Eq. 9
/// in log2 units, log2(sum_i weight_i 2^score_i), which needs no maximum that is not known yet.
///
/// Tokens 4j .. 4j+3 begin in block j and, when l = 2 d, token 4j-1 reaches into it: weights 1, 2, 2, 2, 1 in units
/// of d; when l = d, 0, 1, 1, 1, 1. A lane pair holds the four own tokens of a block; the one before lies with the
/// neighbour, or in the chunk before.
template <class Attention>
class BlockImportance {
  public:
    /// `importance` [blocks, heads] of the pair. `first_chunk`: the warp's.
    __device__ BlockImportance(const Attention& attention, float* importance, int first_chunk, int blocks, int heads,
                               bool overlapping)
        : attention_{attention},
          importance_{importance},
          first_chunk_{first_chunk},
          blocks_{blocks},
          heads_{heads},
          overlapping_{overlapping} {}

    /// Takes the score of the token before the warp's first chunk, which was issued alone into the last row of the
    /// ring's last stage; the first chunks are already under way.
    __device__ void begin() {
        if (first_chunk_ == 0) return;
        wait_copies<kStages - 1>();
        __syncwarp();
        float s[2][4];
        attention_.scores(kStages - 1, {kChunkRows - 1, kChunkRows}, s);
        keep_last(s);
        __syncwarp();  // the stage is free
    }

    __device__ void before(int /*chunk*/, const float (&s)[2][4]) {
        for (int half = 0; half < 2; ++half)
            lead_[half] = last_[half];
        keep_last(s);
    }

    __device__ void after(int chunk, const float (&p)[2][4]) {
        const int lane = threadIdx.x % kWarpSize;
        const int quad = lane % 4;
        const bool even = quad % 2 == 0;
        const float inner = overlapping_ ? 2.0F : 1.0F;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float left = from_left(p[0][2 * half + 1]);
            const float left_of_second = from_left(p[1][2 * half + 1]);
            const float before_chunk = exp2_fast(lead_[half] - attention_.maximum[half]);
            const float lead[2] = {quad == 0 ? before_chunk : left, quad == 0 ? left : left_of_second};
#pragma unroll
            for (int tile = 0; tile < 2; ++tile) {
                const float a = p[tile][2 * half];
                const float b = p[tile][2 * half + 1];
                const float mine = inner * a + (even ? inner * b : b);
                float total = mine + __shfl_xor_sync(0xffffffffU, mine, 1);
                if (overlapping_) total += lead[tile];
                const int block = (first_chunk_ + chunk) * kBlocksPerChunk + tile * 2 + quad / 2;
                const int head = lane / 4 + 8 * half;
                if (even && block < blocks_ && head < heads_) {
                    importance_[block * heads_ + head] = attention_.maximum[half] + log2_fast(total);
                }
            }
        }
    }

  private:
    // The value of the lane to the left in the quad; the leftmost gets the rightmost's.
    __device__ static float from_left(float x) {
        const int lane = threadIdx.x % kWarpSize;
        return __shfl_sync(0xffffffffU, x, (lane & ~3) | ((lane + 3) & 3));
    }

    __device__ void keep_last(const float (&s)[2][4]) {
        last_[0] = from_left(s[1][1]);
        last_[1] = from_left(s[1][3]);
    }

    const Attention& attention_;
    float* importance_;
    int first_chunk_;
    int blocks_;
    int heads_;
    bool overlapping_;
    float lead_[2] = {-INFINITY, -INFINITY};  // right in the quad's leftmost lane
    float last_[2] = {-INFINITY, -INFINITY};
};

template <class T, int kDk, int kDv>
__device__ __forceinline__ void write_partial(const CompressedStep<T>& step, const BlockPartial<kDv>& partial,
                                              const DecodeWorkspace& workspace, int splits) {
    const int heads = step.p.shape.heads_per_group();
    char* scratch = static_cast<char*>(step.p.workspace);
    const std::int64_t first = (static_cast<std::int64_t>(step.pair()) * splits + blockIdx.x) * heads;
    float* out = reinterpret_cast<float*>(scratch + workspace.out) + first * kDv;
    for (int i = threadIdx.x; i < heads * kDv; i += blockDim.x)
        out[i] = partial.out[i / kDv][i % kDv];
    for (int head = threadIdx.x; head < heads; head += blockDim.x) {
        reinterpret_cast<float*>(scratch + workspace.max)[first + head] = partial.maximum[head];
        reinterpret_cast<float*>(scratch + workspace.sum)[first + head] = partial.sum[head];
    }
}

template <int kDk, int kDv>
struct CompressedShared {
    alignas(16) char rings[RingLayout<kDk, kDv>::kBytes];
    BlockPartial<kDv> partial;
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
__device__ void attend_compressed(const CompressedStep<T>& step, ChunkRange mine, int visible,
                                  WarpAttention<T, kDk, kDv>& attention, const DecodeWorkspace& workspace) {
    const DecodeParams& p = step.p;
    const DecodeShape& shape = p.shape;
    const int lane = threadIdx.x % kWarpSize;
    const int* pages = p.page_table + step.b * p.page_stride;
    const RowSource<T> rows{static_cast<const T*>(p.cmp.k), static_cast<const T*>(p.cmp.v), nullptr, nullptr};
    const auto row_at = [&](int token) {
        return token < visible
                   ? pool_row(pages, token, shape.page_tokens / shape.d, step.g, shape.groups)
                   : kHiddenRow;
    };
    float* importance =
        reinterpret_cast<float*>(static_cast<char*>(p.workspace) + workspace.importance) +
        static_cast<std::int64_t>(step.pair()) * shape.max_blocks() * shape.heads_per_group();
    BlockImportance visit{attention,       importance, mine.begin, visible_blocks(step.t, shape), shape.heads_per_group(),
                          shape.l > shape.d};
    if (mine.count > 0 && mine.begin > 0) {
        const int row = row_at(mine.begin * kChunkRows - 1);
        attention.issue(kStages - 1, lane == kChunkRows - 1 ? row : kHiddenRow, rows, /*with_values=*/false);
        commit_copies();
    }
    const auto first_of = [&](int i) { return (mine.begin + i) * kChunkRows; };
    attend_chunks(
        attention, rows, mine.count, [&](int i) { return lane < kChunkRows ? row_at(first_of(i) + lane) : kHiddenRow; },
        [&](int i) { return Visible{0, visible - first_of(i)}; }, visit);
    const int keys = max(0, min(visible - mine.begin * kChunkRows, mine.count * kChunkRows));
    if (p.reads != nullptr && lane == 0 && keys > 0) atomicAdd(p.reads + step.pair() * 3, keys);
}

template <class T, int kDk, int kDv>
__global__ void __launch_bounds__(kDecodeWarps* kWarpSize)
    compressed_kernel(const __grid_constant__ DecodeParams p, const __grid_constant__ DecodeWorkspace workspace) {
    extern __shared__ __align__(16) char shared_bytes[];
    auto& shared = *reinterpret_cast<CompressedShared<kDk, kDv>*>(shared_bytes);
    allow_dependents();
    const CompressedStep<T> step{p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y),
                                 p.position[blockIdx.z]};
    if (step.t < 0) return;  // an idle slot: the second kernel does not look at the workspace either

    const DecodeShape& shape = p.shape;
    const int visible = visible_compressed(step.t, shape);
    const int splits = static_cast<int>(gridDim.x);
    const ChunkRange block = share_of(0, compressed_chunks(visible), static_cast<int>(blockIdx.x), splits);
    const int emitted = completes_compressed(step.t, shape) ? visible - 1 : kNone;
        // Also by the thread block that needs it for nothing but its first block's importance: both write the same.
    if (emitted >= block.begin * kChunkRows - 1 && emitted < (block.begin + block.count) * kChunkRows) {
        const int row = pool_row(p.page_table + step.b * p.page_stride, emitted, shape.page_tokens / shape.d, step.g,
                                 shape.groups);
        emit_mean<T, kDk>(step, p.raw.k, p.new_cmp.k, p.cmp.k, row);
        emit_mean<T, kDv>(step, p.raw.v, p.new_cmp.v, p.cmp.v, row);
        __threadfence_block();
        __syncthreads();
    }
    // The own row takes the place of token t - l, which no mean needs any more.
    if (blockIdx.x == 0) {
        append_raw<T, kDk>(step, p.raw.k, p.new_cmp.k);
        append_raw<T, kDv>(step, p.raw.v, p.new_cmp.v);
    }

    const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
    const T* q = static_cast<const T*>(p.q) + step.pair() * shape.heads_per_group() * kDk;
    WarpAttention<T, kDk, kDv> attention{shared.rings + warp * RingLayout<kDk, kDv>::kWarpBytes, q,
                                         shape.heads_per_group(), p.scale};
    attend_compressed(step, share_of(block.begin, block.begin + block.count, warp, kDecodeWarps), visible, attention,
                      workspace);
    fold_warps(attention, shared.rings, shared.partial);
    write_partial<T, kDk, kDv>(step, shared.partial, workspace, splits);
}

}  // namespace nsa::core::cuda
