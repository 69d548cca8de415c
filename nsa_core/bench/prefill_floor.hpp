// The least that attention over whole sequences can cost, part by part: products that must be made and bytes
// that must move. Pure. Counted exactly for the configuration: the sums over t of visible compressed tokens,
// selected tokens and window are taken query by query, not from a mean.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "nsa_core/bench/floor.hpp"
#include "nsa_core/config.hpp"

namespace nsa::core::bench {

enum class Pass {
    kForward,
    kBackward,  // gradients of everything that has one; the forward pass is not part of it
    kStep       // forward and backward: what one training step pays
};
inline constexpr std::array kPasses{Pass::kForward, Pass::kBackward, Pass::kStep};
[[nodiscard]] std::string_view name(Pass pass);  // "forward", "backward", "step"

// The pieces that are launched and timed apart, in their order.
enum class PrefillPart {
    kProject,     // module only: queries, keys, values and gates from x
    kCompress,    // of keys and values, by their mean or by a learnable phi
    kCompressed,  // attention over compressed tokens
    kSelect,      // importance and top-n; carries no gradient
    kSelected,
    kSliding,
    kCombine  // gated sum; of the module also the output projection
};
inline constexpr std::array kPrefillParts{
    PrefillPart::kProject,  PrefillPart::kCompress, PrefillPart::kCompressed, PrefillPart::kSelect,
    PrefillPart::kSelected, PrefillPart::kSliding,  PrefillPart::kCombine};
[[nodiscard]] std::string_view metric_of(PrefillPart part);  // "ms_project", "ms_compress", "ms_cmp", ...

struct PrefillShape {
    NsaConfig config = {};
    std::int64_t batch = 1;
    std::int64_t seq = 0;            // tokens of each sequence
    std::int64_t element_bytes = 2;  // of one stored number
    // Of the module, numbers in the weights of input and output; 0: attention alone.
    std::int64_t input_weights = 0;
    std::int64_t output_weights = 0;
};

/// Pairs of a query and a key that it sees, summed over the queries of one sequence, by branch.
struct VisiblePairs {
    double cmp = 0;
    double sel = 0;
    double win = 0;
};
[[nodiscard]] VisiblePairs visible_pairs(const NsaConfig& config, std::int64_t seq);

/// One part by itself. Attention forward makes 2 (dk + dv) flops for each pair and head, backward 2 (3 dk +
/// 2 dv): scores again, dP, dV, dQ, dK; that is 2.5 times for dk = dv. Its compulsory bytes are Q and O
/// forward, Q, dO and dQ backward; keys and values, fewer by G/H, are left out. Importance makes 2 dk flops
/// for each visible pair and writes the chosen blocks.
[[nodiscard]] Work part_work(PrefillPart part, Pass pass, const PrefillShape& shape);

/// The whole: every product, and what no fusion can save: queries, outputs and their gradients once, raw keys
/// and values of the compression, and of the module x, its output and the weights.
[[nodiscard]] Work prefill_work(Pass pass, const PrefillShape& shape);

}  // namespace nsa::core::bench
