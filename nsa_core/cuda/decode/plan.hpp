// How a decode step is cut into thread blocks. Pure: a function of shape and device, never of actual lengths,
// so that a captured step stays valid while sequences grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "nsa_core/cuda/decode/params.hpp"
#include "nsa_core/cuda/device_limits.hpp"

namespace nsa::core::cuda {

/// Nothing when the kernels run this shape; else what they take and what does not fit.
[[nodiscard]] std::optional<std::string> decode_unsupported(const DecodeShape& shape);

inline constexpr int kChunkRows = 16;      // keys that a warp takes at a time: the n of two MMA tiles
inline constexpr int kDecodeWarps = 4;     // of a thread block
inline constexpr int kTokensPerBlock = 4;  // l' / d: the compressed tokens that begin in a selection block
inline constexpr int kMaxSelected = 32;    // n
inline constexpr int kMaxBlocks = 2048;    // selection blocks of a sequence: what one thread block can rank
inline constexpr int kMaxCluster = 8;  // thread blocks that share one (sequence, group); the portable limit

struct DecodePlan {
    int splits = 1;                 // thread blocks over the compressed tokens of one (sequence, group)
    int cluster = 1;                // thread blocks over its window and selected blocks
    bool dependent_launch = false;  // the second kernel starts beside the first: sm_90

    bool operator==(const DecodePlan&) const = default;
};

[[nodiscard]] DecodePlan plan_decode(const DecodeShape& shape, const DeviceLimits& device);

/// Scratch of one step; byte offsets from its start.
struct DecodeWorkspace {
    std::size_t out = 0;  // fp32 [B, G, splits, H/G, dv], unnormalised
    std::size_t max = 0;  // fp32 [B, G, splits, H/G], log2 units
    std::size_t sum = 0;  // fp32 [B, G, splits, H/G]
    std::size_t own =
        0;  // fp32 [B, G, workspace_blocks, H/G], importance by a block's own tokens, log2 units
    std::size_t last = 0;  // fp32 [B, G, workspace_blocks, H/G], score of a block's last token, log2 units
    std::size_t bytes = 0;
};

/// Selection blocks that the workspace has room for: those of whole chunks.
[[nodiscard]] int workspace_blocks(const DecodeShape& shape);

[[nodiscard]] DecodeWorkspace layout_workspace(const DecodeShape& shape, const DecodePlan& plan);

}  // namespace nsa::core::cuda
