// Launches of learnable compression for one element type. Grids are of the shape; thread blocks of rows that
// the lengths on the device do not have end at once.
#pragma once

#include <algorithm>

#include "nsa_core/cuda/compress/backward.cuh"
#include "nsa_core/cuda/compress/compress.hpp"
#include "nsa_core/cuda/compress/weights.cuh"
#include "nsa_core/cuda/prefill/launch.cuh"

namespace nsa::core::cuda {

[[nodiscard]] inline RowCount row_count(const PrefillShape& shape, const Sequences& sequences) {
    return {.groups = make_divisor(shape.groups),
            .compressed = make_divisor(std::max(sequences.max_compressed, 1))};
}

// Thread blocks of a product over all hidden rows: `columns` is the wider side's.
[[nodiscard]] inline LaunchShape product_shape(const PrefillShape& shape, int columns) {
    return {.blocks = kSides * blocks_of(hidden_rows(shape), kTile) * blocks_of(columns, kTile),
            .threads = kProductThreads,
            .shared_bytes = kProductBytes};
}

template <class T>
cudaError_t launch_compress_forward_of(const CompressForward& p, cudaStream_t stream) {
    const RowCount count = row_count(p.shape, p.sequences);
    cudaError_t error = launch(compress_bias_kernel<T>,
                               {.blocks = std::int64_t{kSides} * p.hidden,
                                .threads = kBiasThreads,
                                .shared_bytes = kBiasThreads / kWarpSize * sizeof(float)},
                               stream, p);
    if (error != cudaSuccess) return error;
    error = launch(compress_hidden_kernel<T>, product_shape(p.shape, p.hidden), stream, p, count);
    if (error != cudaSuccess) return error;
    return launch(compress_out_kernel<T>, product_shape(p.shape, std::max(p.shape.dk, p.shape.dv)), stream, p,
                  count);
}

template <class T>
cudaError_t launch_compress_weights_of(const CompressBackward& p, const CompressPlan& plan,
                                       cudaStream_t stream) {
    const int width = std::max(p.shape.dk, p.shape.dv);
    const int block = p.shape.l * width;
    const std::int64_t tiles =
        blocks_of(p.hidden, kTile) * (blocks_of(block, kTile) + blocks_of(width, kTile));
    cudaError_t error = launch(compress_parts_kernel<T>,
                               {.blocks = kSides * tiles,
                                .sequences = plan.splits,
                                .threads = kProductThreads,
                                .shared_bytes = kProductBytes},
                               stream, p, row_count(p.shape, p.sequences), plan.splits);
    if (error != cudaSuccess) return error;
    error = launch(compress_sum_kernel<T>,
                   {.blocks = kSides * blocks_of(parts_layout(p.hidden, block, width).all / 8, kSumThreads),
                    .threads = kSumThreads},
                   stream, p, plan.splits);
    if (error != cudaSuccess) return error;
    constexpr int kThreads = kPositionPieces * kPositionShares;
    return launch(compress_position_kernel<T>,
                  {.blocks = kSides * blocks_of(block / 8, kPositionPieces),
                   .threads = kThreads,
                   .shared_bytes = kThreads * sizeof(Piece)},
                  stream, p, plan.splits);
}

template <class T>
cudaError_t launch_compress_rows_of(const CompressBackward& p, cudaStream_t stream) {
    const PrefillShape& shape = p.shape;
    const auto column_tiles = static_cast<int>(blocks_of(std::max(shape.dk, shape.dv), kTile));
    const std::int64_t slots = blocks_of(shape.max_tokens, shape.d) * shape.groups;
    return launch(compress_rows_kernel<T>,
                  {.blocks = kSides * blocks_of(slots, kTile) * shape.d * column_tiles,
                   .sequences = shape.batch,
                   .threads = kProductThreads,
                   .shared_bytes = kProductBytes},
                  stream, p, make_divisor(shape.groups), column_tiles);
}

template <class T>
cudaError_t launch_compress_backward_of(const CompressBackward& p, const CompressPlan& plan,
                                        cudaStream_t stream, CompressPart part) {
    const auto wanted = [part](CompressPart one) { return part == CompressPart::kAll || part == one; };
    cudaError_t error = cudaSuccess;
    if (wanted(CompressPart::kPre)) {
        error = launch(compress_pre_kernel<T>, product_shape(p.shape, p.hidden), stream, p,
                       row_count(p.shape, p.sequences));
    }
    if (error == cudaSuccess && wanted(CompressPart::kWeights))
        error = launch_compress_weights_of<T>(p, plan, stream);
    if (error == cudaSuccess && wanted(CompressPart::kRows)) error = launch_compress_rows_of<T>(p, stream);
    return error;
}

}  // namespace nsa::core::cuda
