// What the forward of a dense branch leaves: outputs and normalisers.
#pragma once

#include "nsa_core/cuda/prefill/query_tile.cuh"
#include "nsa_core/cuda/prefill/softmax.cuh"
#include "nsa_core/cuda/prefill/tile.cuh"

namespace nsa::core::cuda {

// Outputs and normalisers of a warp's rows, from unnormalised sums. A row without keys: 0 and -inf; a NaN
// stays one.
template <class T, int kM, int kTiles>
__device__ __forceinline__ void write_results(const DenseForward& p, const Sequence& tokens,
                                              const QueryTile& tile, const GroupHeads& heads, int warp_row,
                                              const RowStates<kM>& rows, const float (&out)[kM][kTiles][4],
                                              char* staging) {
    const int lane = lane_index();
    const int head = tile.group << heads.log2;
    float inverse[kM][2];
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float sum = quad_sum(rows.sum[m][half]);
            inverse[m][half] = sum == 0.0F ? 0.0F : 1.0F / sum;
            const int row = warp_row + 16 * m + 8 * half + lane / 4;
            const int token = tile.first_token + heads.token(row);
            if (lane % 4 != 0 || token > tile.last_token) continue;
            p.lse[(tokens.first + token) * p.shape.heads + head + heads.head(row)] =
                sum == 0.0F ? -INFINITY : (rows.maximum[m][half] + log2f(sum)) * kLn2;
        }
    T* const base = first_row<T>(p.out, tokens, head, p.sequences.cu_tokens != nullptr);
    store_rows<T>(out, inverse, staging, [&](int row) -> T* {
        const int token = tile.first_token + heads.token(warp_row + row);
        T* const to = base + token * p.out.token + heads.head(warp_row + row) * p.out.head;
        return token <= tile.last_token ? to : nullptr;
    });
}

}  // namespace nsa::core::cuda
