// The n best of keys that all differ, by counting for each key how many are better: no sort, no order of arrival,
// a handful of barriers.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

/// A block with its importance, as one number whose order is the ranking: the larger importance first, among equals
/// the lower index. Importance is never negative, so its bits order like the number; a NaN counts as 0.
using RankKey = unsigned long long;
inline constexpr RankKey kNoKey = 0;  // below every block

__device__ __forceinline__ RankKey rank_key(float importance, int block) {
    const std::uint32_t bits = isnan(importance) ? 0U : __float_as_uint(importance);
    return (static_cast<RankKey>(bits) << 32) | (0xffffffffU - static_cast<std::uint32_t>(block));
}
__device__ __forceinline__ int block_of(RankKey key) {
    return static_cast<int>(0xffffffffU - static_cast<std::uint32_t>(key));
}

/// Keeps the `n` best of pool[0, size), best first, and returns how many there are. `size` is at most twice the
/// number of threads. Barriers of the whole block inside; complete on return.
__device__ __forceinline__ int keep_best(RankKey* pool, int size, int n) {
    constexpr int kEach = 2;
    RankKey mine[kEach];
    int better[kEach] = {0, 0};
    for (int i = 0; i < kEach; ++i) {
        const int at = static_cast<int>(threadIdx.x + i * blockDim.x);
        mine[i] = at < size ? pool[at] : kNoKey;
    }
    const bool two = size > static_cast<int>(blockDim.x);
#pragma unroll 8
    for (int at = 0; at < size; ++at) {
        const RankKey other = pool[at];
        better[0] += other > mine[0] ? 1 : 0;
        if (two) better[1] += other > mine[1] ? 1 : 0;
    }
    __syncthreads();
    for (int i = 0; i < kEach; ++i)
        if (mine[i] != kNoKey && better[i] < n) pool[better[i]] = mine[i];
    __syncthreads();
    return min(size, n);
}

}  // namespace nsa::core::cuda
