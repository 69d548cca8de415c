// What the selection kernels run, and how they are cut: pure functions of shape and device.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "nsa_core/cuda/device_limits.hpp"
#include "nsa_core/cuda/prefill/selected_params.hpp"

namespace nsa::core::cuda {

inline constexpr int kTileTokens = 8;  // adjacent tokens of one group that share a thread block, a warp each
inline constexpr int kCompressedTile = 64;   // compressed tokens that such a thread block takes at a time
inline constexpr int kImportanceStages = 2;  // tiles of them in shared memory
inline constexpr int kMaxChosen = 32;        // n: one a lane
inline constexpr int kStageRows = 64;        // keys and values in a stage of the ring
inline constexpr int kMaxStages = 8;
inline constexpr int kChunkTokens = 256;     // of the inverse list, that a thread block sorts at a time
inline constexpr int kMaxItemTokens = 2048;  // of a block's list that one thread block takes

/// Selection blocks of the longest sequence.
[[nodiscard]] constexpr int max_blocks(const PrefillShape& shape) {
    return (shape.max_tokens - 1) / shape.l_sel + 1;
}

/// Nothing when importance_top_n runs this shape on a chip of compute capability `sm`, 10 * major + minor;
/// else what it takes and what does not fit.
[[nodiscard]] std::optional<std::string> top_n_unsupported(const PrefillShape& shape, int sm);

/// Importance of one token in shared memory, in floats.
[[nodiscard]] constexpr int importance_pitch(const PrefillShape& shape) {
    return (max_blocks(shape) + 3) / 4 * 4;
}
[[nodiscard]] std::size_t importance_shared_bytes(const PrefillShape& shape);

/// l' = 4 d, and l = d or 2 d, as in the paper: a block is four compressed tokens, and the one before them.
[[nodiscard]] constexpr bool has_four_token_blocks(const PrefillShape& shape) {
    return shape.l_sel == 4 * shape.d && (shape.l == shape.d || shape.l == 2 * shape.d);
}

/// importance_top_n by two warpgroups (sm_90a) of 64 rows each: as many tokens of H/G heads.
[[nodiscard]] constexpr int warpgroup_top_n_tokens(int heads_per_group) {
    return 128 / heads_per_group;
}
inline constexpr int kTopNStages = 4;  // tiles of compressed keys in shared memory
inline constexpr std::size_t kTopNBarrierBytes = 2 * sizeof(std::uint64_t) * kTopNStages;
/// Shared memory of a thread block; nothing: this shape is not for it.
[[nodiscard]] std::optional<std::size_t> warpgroup_top_n_shared_bytes(const PrefillShape& shape);

/// What top_n_unsupported says, for selected_forward, selected_dq, the inverse list and selected_dkdv.
[[nodiscard]] std::optional<std::string> selected_unsupported(const PrefillShape& shape, int sm);

/// The ring of stages that forward and dQ walk, as long as DeviceLimits::shared_bytes has room for.
struct RingPlan {
    int stages = 0;
    std::size_t shared_bytes = 0;  // of a thread block, dynamic
    int keys = kStageRows;         // that a warp takes at a time

    bool operator==(const RingPlan&) const = default;
};
[[nodiscard]] RingPlan plan_selected_forward(const PrefillShape& shape, int shared_bytes);
[[nodiscard]] RingPlan plan_selected_dq(const PrefillShape& shape, int shared_bytes);

/// Whether dQ has registers for queries beside a row's gradient and scores of `keys` keys and their
/// gradients; else queries lie in shared memory.
[[nodiscard]] constexpr bool dq_holds_queries(int dk, int keys) {
    return dk / 2 + keys + dk / 4 <= 128;
}
/// The most keys that dQ takes at a time, a whole stage where registers allow it: products have 8 sums under
/// way in place of 4, and a warp is through with a stage in little more than half the time.
[[nodiscard]] constexpr int dq_most_keys(int dk) {
    return dk / 2 + kStageRows <= 128 ? kStageRows : kStageRows / 2;
}
inline constexpr std::size_t kRingStateBytes = 1280;  // barriers and merged lists

/// What lies before a (sequence, group) where all of them stand one behind the other. Sums over the lengths
/// themselves: a batch of ragged sequences takes room for its tokens, not for its longest sequence that many
/// times. `first` tokens are before the sequence, which has `length`.
[[nodiscard]] constexpr std::int64_t tokens_before(const PrefillShape& shape, std::int64_t first, int length,
                                                   int group) {
    return first * shape.groups + std::int64_t{group} * length;
}
/// Parts: a block has them when it has more tokens than an item, so at most two for as many selections. A
/// floor of a sum is no less than the sum of floors, so that none reaches into the next one's.
[[nodiscard]] constexpr std::int64_t parts_before(const PrefillShape& shape, int item_tokens,
                                                  std::int64_t tokens_of_groups) {
    return 2 * tokens_of_groups * shape.n / item_tokens;
}
/// Chunks of the sequences before number `index`: one more each than their tokens fill.
[[nodiscard]] constexpr std::int64_t chunks_before(std::int64_t first, int index) {
    return first / kChunkTokens + index;
}

/// Of an inverse list: chunks of a sequence, ints of its scratch, and shared memory of its kernels.
[[nodiscard]] constexpr int inverse_chunks(int length) {
    return (length + kChunkTokens - 1) / kChunkTokens;
}
[[nodiscard]] std::size_t inverse_counts(const PrefillShape& shape);
[[nodiscard]] std::size_t inverse_shared_bytes(const PrefillShape& shape);

/// How many tokens of a block's list one thread block takes for dK and dV: as many as leave several items for
/// each multiprocessor, for what does not fit one item passes through memory.
[[nodiscard]] int selected_item_tokens(const PrefillShape& shape, int multiprocessors);

/// Items of one (sequence, group), at most.
[[nodiscard]] constexpr int max_items(const PrefillShape& shape, int item_tokens) {
    return max_blocks(shape) + static_cast<int>(std::int64_t{shape.max_tokens} * shape.n / item_tokens);
}
/// Floats of SelectedBackward::parts.
[[nodiscard]] std::size_t selected_parts(const PrefillShape& shape, int item_tokens);

}  // namespace nsa::core::cuda
