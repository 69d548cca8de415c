// The plan of dK and dV of a dense branch: a thread block takes a tile of keys and a share of the interval of
// tokens that see it.
#pragma once

#include "nsa_core/cuda/prefill/dkdv.cuh"
#include "nsa_core/cuda/prefill/interval.hpp"

namespace nsa::core::cuda {

/// One thread block's share of the work.
struct DenseItem {
    Sequence tokens;
    Sequence keys;
    int group;
    int first_key;
    int key_count;  // at most a tile of the plan; 0: nothing to do
    int first_token;
    int count;  // of tokens; with none the gradients are zeros
    KeyInterval interval;
    PartialRows partial;

    [[nodiscard]] __device__ __forceinline__ int token(int i) const { return first_token + i; }
    [[nodiscard]] __device__ __forceinline__ Interval seen(int token) const { return interval.of(token); }
    /// Which of its tokens see any of keys [first, last).
    [[nodiscard]] __device__ __forceinline__ Interval seeing(int first, int last) const {
        const Interval all = interval.tokens_seeing(first, last, tokens.length);
        return {min(max(all.first - first_token, 0), count), min(max(all.last - first_token, 0), count)};
    }
};

/// Grid: x = (tile, split, group), the group fastest, tiles with most tokens first; y = sequence. Split s of
/// key row i (of all sequences) and group g is row (s * key_rows + i) * G + g of the partials.
struct DenseItems {
    struct Shared {};
    static constexpr bool kOneTile = false;  // a consumer warpgroup has keys of its own
    static constexpr int kShareRows = 64;    // a share is whole steps
    KeyInterval interval;
    int tile_keys = kDkdvKeys;
    int splits = 1;
    bool to_partials = false;
    std::int64_t key_rows = 0;  // of all sequences

    [[nodiscard]] __device__ __forceinline__ DenseItem item(const DenseBackward& p, const GroupHeads& heads,
                                                            Shared& /*shared*/) const {
        const int sequence = static_cast<int>(blockIdx.y);
        const int groups = p.shape.groups;
        const int group = static_cast<int>(blockIdx.x) % groups;
        const int split = static_cast<int>(blockIdx.x) / groups % splits;
        const int first_key = static_cast<int>(blockIdx.x) / groups / splits * tile_keys;
        const Sequence tokens = tokens_of(p.sequences, sequence);
        const Sequence keys =
            p.branch == DenseBranch::kWindow ? tokens : compressed_rows_of(p.sequences, sequence);
        const int key_count = min(tile_keys, keys.length - first_key);
        const Interval seeing = interval.tokens_seeing(first_key, first_key + key_count, tokens.length);
        const int step = kShareRows >> heads.log2;
        const int all = max(seeing.last - seeing.first, 0);
        const int share = ((all + splits - 1) / splits + step - 1) / step * step;
        const int first = min(seeing.first + split * share, seeing.last);
        PartialRows partial;
        if (to_partials) {
            const std::int64_t width = p.shape.dk + p.shape.dv;
            partial = {p.partials + ((split * key_rows + keys.first + first_key) * groups + group) * width,
                       groups * width};
        }
        return {tokens,   keys,   group, first_key, key_count, first, min(share, seeing.last - first),
                interval, partial};
    }
};

}  // namespace nsa::core::cuda
