// Where the step's token stands in a sequence: counts of what it sees. Device twin of nsa_core/geometry.hpp,
// in 32 bits and without the host's configuration.
#pragma once

#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/cuda/divisor.hpp"

namespace nsa::core::cuda {

inline constexpr int kBlocksPerChunk = kChunkRows / kTokensPerBlock;

/// Compressed tokens that token t sees. A case of its own below l: dividing a negative number truncates to 1.
__device__ __forceinline__ int visible_compressed(int t, const DecodeShape& shape) {
    return t + 1 < shape.l ? 0 : (t + 1 - shape.l) / shape.d + 1;
}

/// Whether token t is the last of a compression block, so that the step emits a compressed token.
__device__ __forceinline__ bool completes_compressed(int t, const DecodeShape& shape) {
    return t + 1 >= shape.l && (t + 1 - shape.l) % shape.d == 0;
}

/// Chunks of 16 compressed tokens, the last one perhaps not full.
__device__ __forceinline__ int compressed_chunks(int visible) {
    return (visible + kChunkRows - 1) / kChunkRows;
}

/// Selection blocks that begin at or before token t.
__device__ __forceinline__ int visible_blocks(int t, const DecodeShape& shape) {
    return t / shape.l_sel + 1;
}

/// What a launch adds to its parameters.
struct DecodeConstants {
    DecodeWorkspace workspace;
    Divisor page_tokens;
    Divisor page_compressed;  // compressed tokens of a page
    Divisor block_chunks;     // chunks of 16 tokens in a selection block
    int splits;
    int block_rows;  // selection blocks that the workspace has room for, of each pair
};

/// Whether there is a step at this position: not in an idle slot, nor behind what the cache was made for, nor
/// where no page has been reserved for its token, which would be written ahead of the pool. Earlier tokens
/// have pages where this one has. The page is one that the step is about to look up anyhow.
__device__ __forceinline__ bool takes_part(int t, const int* pages, const DecodeShape& shape,
                                           const Divisor& page_tokens) {
    return static_cast<unsigned>(t) < static_cast<unsigned>(shape.max_tokens) &&
           pages[page_tokens.quotient(t)] >= 0;
}

/// Number of the row in a pool [pages, G, page_rows, width] that holds row `index` of a sequence and group.
__device__ __forceinline__ int pool_row(const int* pages, int index, const Divisor& page_rows, int group,
                                        int groups) {
    const int page = page_rows.quotient(index);
    const int rows = static_cast<int>(page_rows.divisor);
    return (pages[page] * groups + group) * rows + (index - page * rows);
}

}  // namespace nsa::core::cuda
