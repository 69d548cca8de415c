// The n best of keys that all differ, by counting for each key how many are better: no sort, no search, and
// the same result in whatever order threads run.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

/// A block with its importance, as one number whose order is the ranking: the larger importance first, among
/// equals the lower index. Importance is never negative, so its bits order like the number; a NaN counts as
/// 0.
using RankKey = unsigned long long;
inline constexpr RankKey kNoKey = 0;  // below every block

__device__ __forceinline__ RankKey rank_key(float importance, int block) {
    const std::uint32_t bits = isnan(importance) ? 0U : __float_as_uint(importance);
    return (static_cast<RankKey>(bits) << 32) | (0xffffffffU - static_cast<std::uint32_t>(block));
}
__device__ __forceinline__ int block_of(RankKey key) {
    return static_cast<int>(0xffffffffU - static_cast<std::uint32_t>(key));
}

/// Keeps the `n` best of keys[0, size), best first, and returns how many there are. `size` is at most the
/// number of threads; keys is 16-byte aligned. Barriers of the whole block inside, one of them on entry;
/// complete on return. A function of its own, because code that is met first costs more than a call.
inline __device__ __noinline__ int keep_best(RankKey* keys, int size, int n) {
    const int thread = static_cast<int>(threadIdx.x);
    if (size % 2 == 1 && thread == 0) keys[size] = kNoKey;  // keys are compared in pairs
    __syncthreads();
    const RankKey mine = thread < size ? keys[thread] : kNoKey;
    int better = 0;
#pragma unroll 8
    for (int at = 0; at < size; at += 2) {
        const ulonglong2 two = *reinterpret_cast<const ulonglong2*>(keys + at);
        better += (two.x > mine ? 1 : 0) + (two.y > mine ? 1 : 0);
    }
    __syncthreads();
    if (mine != kNoKey && better < n) keys[better] = mine;
    __syncthreads();
    return min(size, n);
}

}  // namespace nsa::core::cuda
