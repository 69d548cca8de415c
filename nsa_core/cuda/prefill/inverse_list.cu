#include "nsa_core/cuda/prefill/inverse_list.cuh"

#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/selected.hpp"

namespace nsa::core::cuda {

cudaError_t launch_inverse_lists(const MakeInverseLists& params, cudaStream_t stream) {
    const PrefillShape& shape = params.shape;
    const LaunchShape chunks{.blocks = std::int64_t{inverse_chunks(shape.max_tokens)} * shape.groups,
                             .sequences = shape.batch,
                             .threads = kChunkTokens,
                             .shared_bytes = inverse_shared_bytes(shape)};
    const LaunchShape columns{.blocks = blocks_of(max_blocks(shape), kWarpSize) * shape.groups,
                              .sequences = shape.batch,
                              .threads = kSumWarps * kWarpSize,
                              .shared_bytes = kSumWarps * kWarpSize * sizeof(int)};
    const LaunchShape pairs{.blocks = shape.groups,
                            .sequences = shape.batch,
                            .threads = kChunkTokens,
                            .shared_bytes = max_blocks(shape) * sizeof(int)};
    cudaError_t error = launch(inverse_list_count_kernel, chunks, stream, params);
    if (error == cudaSuccess) error = launch(inverse_list_sum_kernel, columns, stream, params);
    if (error == cudaSuccess) error = launch(inverse_list_ends_kernel, pairs, stream, params);
    if (error == cudaSuccess) error = launch(inverse_list_fill_kernel, chunks, stream, params);
    return error;
}

}  // namespace nsa::core::cuda
