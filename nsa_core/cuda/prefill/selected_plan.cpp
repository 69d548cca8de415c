// Apart from the launches, so that a build without nvcc can say it too.
#include "nsa_core/cuda/prefill/selected_plan.hpp"

#include <algorithm>

#include "nsa_core/cuda/prefill/plan.hpp"

namespace nsa::core::cuda {
namespace {

constexpr int kMaxBlockIndex =
    1 << 23;  // of a selection block: the merged lists keep 8 bits of 31 for tokens

std::string text(std::int64_t x) {
    return std::to_string(x);
}

std::optional<std::string> shape_unsupported(const PrefillShape& s) {
    if (const auto reason = heads_unsupported(s)) return reason;
    if (s.max_tokens < 1) return "sequences of at least one token, and the longest has " + text(s.max_tokens);
    if (s.l_sel < 1 || max_blocks(s) > kMaxBlockIndex) {
        return "up to " + text(kMaxBlockIndex) + " selection blocks, and " + text(s.max_tokens) +
               " tokens in blocks of l' = " + text(s.l_sel) + " are more";
    }
    if (s.n < 1 || s.n > kMaxChosen)
        return "1 to " + text(kMaxChosen) + " selected blocks, and n is " + text(s.n);
    if (std::int64_t{s.max_tokens} * s.n > INT32_MAX) {
        return "up to 2^31 - 1 selections of a sequence and group, and " + text(s.max_tokens) +
               " tokens of n = " + text(s.n) + " make more";
    }
    return std::nullopt;
}

std::optional<std::string> room_unsupported(std::size_t bytes, int sm) {
    const auto limit = static_cast<std::size_t>(shared_memory_limit(sm));
    if (bytes <= limit) return std::nullopt;
    return "what fits into the " + text(static_cast<std::int64_t>(limit)) +
           " bytes of shared memory that sm_" + text(sm) + " gives a thread block, and this takes " +
           text(static_cast<std::int64_t>(bytes));
}

constexpr std::size_t tile_bytes(int rows, int width) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width) * 2;
}

// Stages of a ring beside `other` bytes; 0 when not even two fit, which the outputs need as well.
RingPlan plan_ring(const PrefillShape& shape, int shared_bytes, std::size_t other) {
    const std::size_t stage = tile_bytes(kStageRows, shape.dk) + tile_bytes(kStageRows, shape.dv);
    const auto limit = static_cast<std::size_t>(shared_bytes);
    const std::size_t fixed = other + kRingStateBytes;
    const std::size_t room = limit < fixed ? 0 : (limit - fixed) / stage;
    const int stages = static_cast<int>(std::min<std::size_t>(room, kMaxStages));
    return {.stages = stages < 2 ? 0 : stages,
            .shared_bytes = fixed + static_cast<std::size_t>(std::max(stages, 2)) * stage};
}

}  // namespace

std::size_t importance_shared_bytes(const PrefillShape& shape) {
    return kImportanceStages * tile_bytes(kCompressedTile, shape.dk) +
           kTileTokens * sizeof(float) * static_cast<std::size_t>(importance_pitch(shape) + kCompressedTile);
}

std::optional<std::size_t> warpgroup_top_n_shared_bytes(const PrefillShape& shape) {
    if (shape.dk % 64 != 0 || !has_four_token_blocks(shape)) return std::nullopt;
    const std::size_t bytes = kTopNStages * tile_bytes(kCompressedTile, shape.dk) + kTopNBarrierBytes +
                              static_cast<std::size_t>(warpgroup_top_n_tokens(shape.heads_per_group())) *
                                  sizeof(float) * static_cast<std::size_t>(importance_pitch(shape));
    if (bytes > static_cast<std::size_t>(shared_memory_limit(90))) return std::nullopt;
    return bytes;
}

std::size_t inverse_counts(const PrefillShape& shape) {
    return static_cast<std::size_t>(chunks_before(shape.tokens, shape.batch)) *
           static_cast<std::size_t>(shape.groups) * static_cast<std::size_t>(max_blocks(shape));
}

int selected_item_tokens(const PrefillShape& shape, int multiprocessors) {
    constexpr int kFewest = 512;
    constexpr int kItemsPerMultiprocessor = 8;
    const std::int64_t selections = shape.tokens * shape.groups * shape.n;
    int tokens = kMaxItemTokens;
    while (tokens > kFewest && selections / tokens < std::int64_t{kItemsPerMultiprocessor} * multiprocessors)
        tokens /= 2;
    return tokens;
}

std::size_t selected_parts(const PrefillShape& shape, int item_tokens) {
    return static_cast<std::size_t>(parts_before(shape, item_tokens, shape.tokens * shape.groups)) *
           static_cast<std::size_t>(shape.l_sel) * static_cast<std::size_t>(shape.dk + shape.dv);
}

std::size_t inverse_shared_bytes(const PrefillShape& shape) {
    return static_cast<std::size_t>(max_blocks(shape)) * kChunkTokens / 8;
}

RingPlan plan_selected_forward(const PrefillShape& shape, int shared_bytes) {
    return plan_ring(shape, shared_bytes, 0);
}

RingPlan plan_selected_dq(const PrefillShape& shape, int shared_bytes) {
    constexpr int kFewStages = 3;  // fewer hold warps up by more than a step of all keys is worth
    RingPlan plan;
    for (int keys = dq_most_keys(shape.dk); keys >= kStageRows / 2 && plan.stages < kFewStages; keys /= 2) {
        const std::size_t token =
            tile_bytes(16, shape.dv) + (dq_holds_queries(shape.dk, keys) ? 0 : tile_bytes(16, shape.dk));
        plan = plan_ring(shape, shared_bytes, kTileTokens * token);
        plan.keys = keys;
    }
    return plan;
}

std::optional<std::string> top_n_unsupported(const PrefillShape& s, int sm) {
    const std::string takes = "importance_top_n takes ";
    if (const auto reason = shape_unsupported(s)) return takes + *reason;
    if (s.d < 1 || s.l < s.d || s.l % s.d != 0 || s.l_sel % s.d != 0) {
        return takes + "l and l' that d divides, and these are l = " + text(s.l) + ", l' = " + text(s.l_sel) +
               " and d = " + text(s.d);
    }
    if (s.n_initial < 0 || s.n_local < 1 || s.n_initial + s.n_local > s.n) {
        return takes + "n_local from 1 up and forced blocks that fit into n = " + text(s.n) +
               ", and these are " + text(s.n_initial) + " and " + text(s.n_local);
    }
    if (const auto reason = room_unsupported(importance_shared_bytes(s), sm)) return takes + *reason;
    return std::nullopt;
}

std::optional<std::string> selected_unsupported(const PrefillShape& s, int sm) {
    const std::string takes = "the selected branch takes ";
    if (const auto reason = shape_unsupported(s)) return takes + *reason;
    const int room = shared_memory_limit(sm);
    if (const auto reason = room_unsupported(plan_selected_forward(s, room).shared_bytes, sm))
        return takes + *reason;
    if (const auto reason = room_unsupported(plan_selected_dq(s, room).shared_bytes, sm))
        return takes + *reason;
    if (const auto reason = room_unsupported(inverse_shared_bytes(s), sm)) return takes + *reason;
    return std::nullopt;
}

}  // namespace nsa::core::cuda
