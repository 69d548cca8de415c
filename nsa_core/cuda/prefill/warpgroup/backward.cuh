// What the two backward kernels for warpgroups share: a warpgroup of producers copies tiles into a ring of
// stages; two warpgroups of consumers own 64 rows of the result each.
//
// A consumer's accumulators are those of one block of 16 rows for each warp, c[1][kTiles][4]: what tile.cuh
// and dkdv.cuh do to blocks of a warp serves here too.
#pragma once

#include "nsa_core/cuda/prefill/boxes.cuh"
#include "nsa_core/cuda/prefill/pieces.cuh"
#include "nsa_core/cuda/prefill/warpgroup/stage_ring.cuh"

namespace nsa::core::cuda {

inline constexpr int kConsumers = 2;  // warpgroups; the last one is the producers
inline constexpr int kConsumerWarps = kConsumers * kWarpgroupThreads / kWarpSize;
inline constexpr int kBackwardThreads = (kConsumers + 1) * kWarpgroupThreads;
// Of 168 a thread at launch; 40 + 2 * 232 is as many.
inline constexpr int kProducerRegisters = 40;
inline constexpr int kConsumerRegisters = 232;

// The same in all lanes, and for the compiler too: what follows from it is kept once for the warp.
__device__ __forceinline__ int warpgroup_index() {
    return __shfl_sync(0xffffffffU, static_cast<int>(threadIdx.x / kWarpgroupThreads), 0);
}
__device__ __forceinline__ int thread_of_warpgroup() {
    return static_cast<int>(threadIdx.x % kWarpgroupThreads);
}
/// Of 16 rows of the warpgroup's 64.
__device__ __forceinline__ int warp_of_warpgroup() {
    return __shfl_sync(0xffffffffU, static_cast<int>(threadIdx.x / kWarpSize % 4), 0);
}

/// Four tiles of 8 columns, two of them in each lane of a quad, become one tile of 8 columns in each lane:
/// lane q of the quad gets tile q.
__device__ __forceinline__ uint4 transpose_quad(const std::uint32_t (&words)[4]) {
    const bool odd = lane_index() % 2 != 0;
    const bool upper = lane_index() % 4 >= 2;
    std::uint32_t low[2];   // of the quad's lower two lanes
    std::uint32_t high[2];  // of its upper two
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const std::uint32_t other = __shfl_xor_sync(0xffffffffU, upper ? words[i] : words[i + 2], 2);
        low[i] = upper ? other : words[i];
        high[i] = upper ? words[i + 2] : other;
    }
    const std::uint32_t other_low = __shfl_xor_sync(0xffffffffU, odd ? low[0] : low[1], 1);
    const std::uint32_t other_high = __shfl_xor_sync(0xffffffffU, odd ? high[0] : high[1], 1);
    return odd ? make_uint4(other_low, low[1], other_high, high[1])
               : make_uint4(low[0], other_low, high[0], other_high);
}

/// The warp's 16 rows of accumulators, times `scale` and rounded, to memory. row_of(r) is the first element
/// of row r of the warp, or null: not written. `add`: what is there is added, in fp32.
template <class T, int kTiles, class RowOf>
__device__ __forceinline__ void store_accumulators(const float (&c)[1][kTiles][4], float scale, RowOf row_of,
                                                   bool add = false) {
    static_assert(kTiles % 4 == 0, "whole rounds of a quad");
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        T* const row = row_of(8 * half + lane_index() / 4);
#pragma unroll
        for (int n = 0; n < kTiles; n += 4) {
            std::uint32_t words[4];
#pragma unroll
            for (int i = 0; i < 4; ++i)
                words[i] = Half<T>::pack(c[0][n + i][2 * half] * scale, c[0][n + i][2 * half + 1] * scale);
            const uint4 piece = transpose_quad(words);
            if (row == nullptr) continue;
            T* const to = row + (n + lane_index() % 4) * 8;
            if (add) {
                Piece sum = load_piece(static_cast<const T*>(to));
                add_scaled(sum, 1.0F, load_piece(reinterpret_cast<const T*>(&piece)));
                store_piece(to, sum);
            } else {
                *reinterpret_cast<uint4*>(to) = piece;
            }
        }
    }
}

}  // namespace nsa::core::cuda
