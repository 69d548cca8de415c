// Launches of pooling and of the gated sum for one element type.
#pragma once

#include "nsa_core/cuda/prefill/combine.cuh"
#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/plan.hpp"
#include "nsa_core/cuda/prefill/pool.cuh"

namespace nsa::core::cuda {

// One thread for 8 columns of each of `rows` rows of keys and of values.
[[nodiscard]] inline LaunchShape pool_shape(const PrefillShape& shape, std::int64_t rows) {
    return {.blocks = blocks_of(rows * shape.groups * ((shape.dk + shape.dv) / 8), kPoolThreads),
            .sequences = shape.batch,
            .threads = kPoolThreads};
}

template <class T>
cudaError_t launch_mean_pool_of(const MeanPool& p, cudaStream_t stream) {
    return launch(mean_pool_kernel<T>, pool_shape(p.shape, p.shape.compressed_of(p.shape.max_tokens)), stream,
                  p);
}

template <class T>
cudaError_t launch_mean_pool_backward_of(const MeanPoolBackward& p, cudaStream_t stream) {
    return launch(mean_pool_backward_kernel<T>, pool_shape(p.shape, p.shape.max_tokens), stream, p);
}

template <class T>
cudaError_t launch_sum_partials_of(const DenseBackward& p, int splits, cudaStream_t stream) {
    const int keys =
        p.branch == DenseBranch::kWindow ? p.shape.max_tokens : p.shape.compressed_of(p.shape.max_tokens);
    return launch(sum_partials_kernel<T>, pool_shape(p.shape, keys), stream, p, splits,
                  key_rows(p.shape, p.branch));
}

// `lanes` threads for each (token, head).
[[nodiscard]] inline LaunchShape head_rows_shape(const PrefillShape& shape, bool packed, int lanes) {
    const std::int64_t tokens = packed ? shape.tokens : shape.max_tokens;
    return {.blocks = blocks_of(tokens * shape.heads * lanes, kCombineThreads),
            .sequences = packed ? 1 : shape.batch,
            .threads = kCombineThreads};
}

template <class T>
cudaError_t launch_combine_of(const Combine& p, cudaStream_t stream) {
    return launch(combine_kernel<T>, head_rows_shape(p.shape, p.packed, p.shape.dv / 8), stream, p);
}

template <class T>
cudaError_t launch_combine_backward_of(const CombineBackward& p, cudaStream_t stream) {
    const auto lanes = static_cast<int>(std::bit_ceil(static_cast<unsigned>(p.shape.dv) / 8));
    return launch(combine_backward_kernel<T>, head_rows_shape(p.shape, p.packed, lanes), stream, p, lanes);
}

}  // namespace nsa::core::cuda
