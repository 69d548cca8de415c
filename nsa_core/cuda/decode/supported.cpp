// What the decode kernels run. Apart from the launches, so that a build without nvcc can say it too.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>

#include "nsa_core/cuda/decode/plan.hpp"

namespace nsa::core::cuda {
namespace {

constexpr std::array<std::pair<int, int>, 5> kWidths{{{32, 32}, {64, 64}, {96, 96}, {128, 128}, {192, 128}}};
constexpr std::array kHeadsPerGroup{1, 2, 4, 8, 16};
constexpr int kMaxTokens = 1 << 30;  // so that no sum of a position and a chunk leaves 32 bits
constexpr int kMaxGridSide = 65535;  // thread blocks along y and z of a grid: groups and batch

std::optional<std::string> blocks_unsupported(const DecodeShape& s) {
    if (s.d < 1 || s.l_sel % kTokensPerBlock != 0 || s.l_sel / kTokensPerBlock != s.d ||
        s.l_sel % kChunkRows != 0) {
        return "selection blocks of 4 d tokens, in multiples of 16, and these are l' = " +
               std::to_string(s.l_sel) + " with d = " + std::to_string(s.d);
    }
    if (s.l != s.d && s.l != 2 * s.d) {
        return "compression blocks of d or 2 d tokens, and l is " + std::to_string(s.l) +
               " with d = " + std::to_string(s.d);
    }
    if (s.n < 1 || s.n > kMaxSelected) {
        return "1 to " + std::to_string(kMaxSelected) + " selected blocks, and n is " + std::to_string(s.n);
    }
    if (s.page_tokens < s.l_sel || s.page_tokens % s.l_sel != 0) {
        return "pages of a multiple of l' = " + std::to_string(s.l_sel) + " tokens, and these are of " +
               std::to_string(s.page_tokens);
    }
    // Not s.max_blocks(): rounding up to whole blocks overflows close to 2^31 tokens.
    if (s.max_tokens > std::int64_t{kMaxBlocks} * s.l_sel) {
        return "sequences of up to " + std::to_string(kMaxBlocks) + " selection blocks, and " +
               std::to_string(s.max_tokens) + " tokens are " +
               std::to_string((s.max_tokens - 1) / s.l_sel + 1);
    }
    if (s.max_tokens > kMaxTokens || s.page_tokens > kMaxTokens) {
        return "up to 2^30 tokens in a sequence and in a page, and these are " +
               std::to_string(s.max_tokens) + " and " + std::to_string(s.page_tokens);
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> decode_unsupported(const DecodeShape& s) {
    const std::string takes = "the decode kernels take ";
    if (std::find(kWidths.begin(), kWidths.end(), std::pair{s.dk, s.dv}) == kWidths.end()) {
        return takes + "heads with dk = dv of 32, 64, 96 or 128, or dk = 192 with dv = 128, and these are " +
               std::to_string(s.dk) + " and " + std::to_string(s.dv);
    }
    const int per_group = s.groups < 1 || s.heads % s.groups != 0 ? 0 : s.heads_per_group();
    if (std::find(kHeadsPerGroup.begin(), kHeadsPerGroup.end(), per_group) == kHeadsPerGroup.end()) {
        return takes + "1, 2, 4, 8 or 16 heads in a group, and H = " + std::to_string(s.heads) +
               " with G = " + std::to_string(s.groups) + " is none of them";
    }
    if (s.batch > kMaxGridSide || s.groups > kMaxGridSide) {
        return takes + "up to " + std::to_string(kMaxGridSide) + " sequences and groups, and these are " +
               std::to_string(s.batch) + " and " + std::to_string(s.groups);
    }
    // Kernels count elements of q, the output and the step's own rows in 32 bits.
    const std::int64_t elements = std::int64_t{s.batch} * s.heads * std::max(s.dk, s.dv);
    if (elements > std::numeric_limits<std::int32_t>::max()) {
        return takes + "up to 2^31 - 1 elements of q, and these are " + std::to_string(elements);
    }
    if (s.n_local < 1 || s.w < 1) return takes + "n_local and w from 1 up";
    if (const auto reason = blocks_unsupported(s)) return takes + *reason;
    return std::nullopt;
}

}  // namespace nsa::core::cuda
