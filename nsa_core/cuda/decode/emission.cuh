// The compressed branch's own tokens: the raw row of the step, and the compressed token that it completes.
#pragma once

#include "nsa_core/cuda/decode/geometry.cuh"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

inline constexpr int kPiece = 8;  // elements of a 16-byte copy
inline constexpr int kMeanThreads = 128;

/// Sums of the mean's row groups, before they become one.
struct MeanScratch {
    float sum[kMeanThreads][kPiece];
};

struct RawToken {
    const DecodeParams& p;
    int pair;  // b G + g
    int t;

    [[nodiscard]] __device__ int slot() const { return t % p.shape.l; }
};

/// Mean of the raw rows [t - l + 1, t], summed in fp32 and rounded once. The ring holds them all but the own
/// row, which is still in the step's input; its slot holds the one row that is too old.
template <class T, int kWidth>
__device__ __forceinline__ void emit_mean(const RawToken& token, const void* ring, const void* new_rows,
                                          T* to, MeanScratch& scratch) {
    constexpr int kPieces = kWidth / kPiece;
    constexpr int kGroups = kMeanThreads / kPieces;
    const int l = token.p.shape.l;
    const int piece = static_cast<int>(threadIdx.x) % kPieces;
    const int group = static_cast<int>(threadIdx.x) / kPieces;
    const T* rows =
        static_cast<const T*>(ring) + static_cast<std::int64_t>(token.pair) * l * kWidth + piece * kPiece;
    const T* own =
        static_cast<const T*>(new_rows) + static_cast<std::int64_t>(token.pair) * kWidth + piece * kPiece;
    float sum[kPiece] = {};
    if (group < kGroups) {
#pragma unroll 4
        for (int row = group; row < l; row += kGroups) {
            const uint4 bits =
                *reinterpret_cast<const uint4*>(row == token.slot() ? own : rows + row * kWidth);
            const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
            for (int i = 0; i < 4; ++i) {
                const float2 x = Half<T>::unpack(words[i]);
                sum[2 * i] += x.x;
                sum[2 * i + 1] += x.y;
            }
        }
        for (int i = 0; i < kPiece; ++i)
            scratch.sum[threadIdx.x][i] = sum[i];
    }
    __syncthreads();
    if (group == 0) {
        const float share = 1.0F / static_cast<float>(l);
        for (int i = 0; i < kPiece; i += 2) {
            float2 total = {sum[i], sum[i + 1]};
            for (int other = 1; other < kGroups; ++other) {
                total.x += scratch.sum[other * kPieces + piece][i];
                total.y += scratch.sum[other * kPieces + piece][i + 1];
            }
            reinterpret_cast<std::uint32_t*>(to)[(piece * kPiece + i) / 2] =
                Half<T>::pack(total.x * share, total.y * share);
        }
    }
    __syncthreads();
}

/// Key and value of the compressed token that the step completes.
template <class T, int kDk, int kDv>
__device__ __forceinline__ void emit(const RawToken& token, T* key, T* value, MeanScratch& scratch) {
    const DecodeParams& p = token.p;
    if constexpr (kDk == kDv) {
#pragma unroll 1
        for (int i = 0; i < 2; ++i) {
            emit_mean<T, kDk>(token, i == 0 ? p.raw.k : p.raw.v, i == 0 ? p.new_cmp.k : p.new_cmp.v,
                              i == 0 ? key : value, scratch);
        }
    } else {
        emit_mean<T, kDk>(token, p.raw.k, p.new_cmp.k, key, scratch);
        emit_mean<T, kDv>(token, p.raw.v, p.new_cmp.v, value, scratch);
    }
}

/// The own row takes the place of token t - l, which no mean needs any more.
template <class T, int kWidth>
__device__ __forceinline__ void append_raw(const RawToken& token, void* ring, const void* new_rows) {
    const int l = token.p.shape.l;
    T* to = static_cast<T*>(ring) + (static_cast<std::int64_t>(token.pair) * l + token.slot()) * kWidth;
    const T* from = static_cast<const T*>(new_rows) + static_cast<std::int64_t>(token.pair) * kWidth;
    for (int i = static_cast<int>(threadIdx.x); i < kWidth / kPiece; i += static_cast<int>(blockDim.x))
        reinterpret_cast<uint4*>(to)[i] = reinterpret_cast<const uint4*>(from)[i];
}

}  // namespace nsa::core::cuda
