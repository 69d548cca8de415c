// The plan of dK and dV of a dense branch: a thread block takes a tile of keys and a share of the interval of
// tokens that see it.
#pragma once

#include "nsa_core/cuda/prefill/dkdv.cuh"
#include "nsa_core/cuda/prefill/interval.hpp"
#include "nsa_core/cuda/prefill/plan.hpp"

namespace nsa::core::cuda {

/// One thread block's share of the work.
struct DenseItem {
    Sequence tokens{};
    Sequence keys{};
    int group = 0;
    int first_key = 0;
    int key_count = 0;  // at most a tile of the plan; 0: nothing to do
    int first_token = 0;
    int count = 0;  // of tokens; with none the gradients are zeros
    int start = 0;  // of its tokens: with which the walk begins
    KeyInterval interval{};
    PartialRows partial{};

    [[nodiscard]] __device__ __forceinline__ int token(int i) const { return first_token + i; }
    [[nodiscard]] __device__ __forceinline__ Interval seen(int token) const { return interval.of(token); }
    /// Which of its tokens see any of keys [first, last).
    [[nodiscard]] __device__ __forceinline__ Interval seeing(int first, int last) const {
        const Interval all = interval.tokens_seeing(first, last, tokens.length);
        return {min(max(all.first - first_token, 0), count), min(max(all.last - first_token, 0), count)};
    }
};

/// Grid: x = (share, tile, group), the group fastest; y = sequence. Split s of key row i (of all sequences)
/// and group g is row (s * key_rows + i) * G + g of the partials.
///
/// Thread blocks that run together read the same query rows from the L2, not each from memory. Shares of
/// compressed keys begin at the same tokens for all tiles, so that all tiles of a share walk in step; latest
/// shares first, which most tiles have, and tiles that are first seen inside their share, with less to do,
/// behind all others. Tiles of a window begin where a token's number is a multiple of their length, so that
/// those that see a token come to it together.
struct DenseItems {
    static constexpr bool kOneTile = false;  // a consumer warpgroup has keys of its own
    static constexpr int kListTokens = 1;    // none: tokens are adjacent
    static constexpr int kShareRows = 64;    // a share is whole steps
    KeyInterval interval;
    int tile_keys = kDkdvKeys;
    int tiles = 1;       // of the longest sequence
    int late_tiles = 0;  // at most, of a share
    int splits = 1;
    bool to_partials = false;
    std::int64_t key_rows = 0;  // of all sequences

    [[nodiscard]] __host__ __device__ int blocks_of_group() const { return splits * (tiles + late_tiles); }

    [[nodiscard]] __device__ __forceinline__ DenseItem item(const DenseBackward& p,
                                                            const GroupHeads& heads) const {
        const int sequence = static_cast<int>(blockIdx.y);
        const int groups = p.shape.groups;
        const int group = static_cast<int>(blockIdx.x) % groups;
        const Sequence tokens = tokens_of(p.sequences, sequence);
        const bool window = p.branch == DenseBranch::kWindow;
        const Sequence keys = window ? tokens : compressed_rows_of(p.sequences, sequence);
        const int step = kShareRows >> heads.log2;
        const Place place = place_of(static_cast<int>(blockIdx.x) / groups, window, tokens.length, step);
        const int first_key = place.tile * tile_keys;
        const int key_count = place.tile < 0 ? 0 : min(tile_keys, keys.length - first_key);
        if (key_count <= 0) return {};
        const Interval seeing = interval.tokens_seeing(first_key, first_key + key_count, tokens.length);
        const int origin = window ? seeing.first : 0;
        const int share = window ? share_of(seeing.last - seeing.first, step) : share_of(tokens.length, step);
        const auto bounded = [&](int token) { return min(max(token, seeing.first), seeing.last); };
        const int first = bounded(origin + place.split * share);
        const int count = bounded(origin + (place.split + 1) * share) - first;
        PartialRows partial;
        if (to_partials) {
            const std::int64_t width = p.shape.dk + p.shape.dv;
            partial = {
                p.partials + ((place.split * key_rows + keys.first + first_key) * groups + group) * width,
                groups * width};
        }
        const int period = (interval.w + tile_keys + step - 1) / step * step;
        const int start = window ? (period - first % period) % period : 0;
        return {.tokens = tokens,
                .keys = keys,
                .group = group,
                .first_key = first_key,
                .key_count = key_count,
                .first_token = first,
                .count = count,
                .start = start < count ? start / step * step : 0,
                .interval = interval,
                .partial = partial};
    }

  private:
    struct Place {
        int split;
        int tile;  // -1: none
    };
    [[nodiscard]] __device__ __forceinline__ int share_of(int tokens, int step) const {
        return ((tokens + splits - 1) / splits + step - 1) / step * step;
    }
    [[nodiscard]] __device__ __forceinline__ Place place_of(int index, bool window, int tokens,
                                                            int step) const {
        const int even = splits * tiles;
        if (window) return {index / tiles, index % tiles};
        const int share = share_of(tokens, step);
        const int tile_tokens = tile_keys * static_cast<int>(interval.d.divisor);
        const auto is_late = [&](int split, int tile) {
            const int first_seen = tile * tile_tokens + interval.l - 1;
            return first_seen > split * share && first_seen < min((split + 1) * share, tokens);
        };
        if (index < even) {
            const Place place{splits - 1 - index / tiles, index % tiles};
            return {place.split, is_late(place.split, place.tile) ? -1 : place.tile};
        }
        const int split = splits - 1 - (index - even) % splits;
        const int before = split * share - (interval.l - 1);
        const int tile = (before < 0 ? 0 : before / tile_tokens + 1) + (index - even) / splits;
        return {split, is_late(split, tile) ? tile : -1};
    }
};

/// For a kernel that takes `tile_keys` keys at a time.
[[nodiscard]] inline DenseItems dense_items(const DenseBackward& p, const DensePlan& plan, int tile_keys) {
    const PrefillShape& shape = p.shape;
    const bool window = p.branch == DenseBranch::kWindow;
    const int keys = window ? shape.max_tokens : shape.compressed_of(shape.max_tokens);
    const auto blocks = [](std::int64_t all, std::int64_t each) {
        return static_cast<int>((all + each - 1) / each);
    };
    DenseItems items{.interval = key_interval(shape, p.branch),
                     .tile_keys = tile_keys,
                     .tiles = blocks(keys, tile_keys),
                     .splits = plan.splits,
                     .to_partials = plan.splits > 1,
                     .key_rows = key_rows(shape, p.branch)};
    // A share is rounded up to whole steps, of at most kShareRows tokens.
    if (!window)
        items.late_tiles = blocks(blocks(shape.max_tokens, plan.splits) + DenseItems::kShareRows,
                                  std::int64_t{tile_keys} * shape.d);
    return items;
}

}  // namespace nsa::core::cuda
