// Shape and options of one Native Sparse Attention layer (arXiv 2502.11089). Names follow the paper.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nsa::core {

enum class Compressor { kMean, kMlp };  // phi of Eq. 7: mean pooling, or an MLP with intra-block position
enum class GateKind { kSigmoid, kSoftmax };  // sigmoid is the paper's; softmax makes the three gates sum to 1

struct NsaConfig {
    std::int64_t dim = 256;      // width of the residual stream
    std::int64_t heads = 8;      // H, query heads
    std::int64_t groups = 2;     // G, key/value heads; head h belongs to group h / (H/G)
    std::int64_t dk = 32;        // width of a query and of a key
    std::int64_t dv = 32;        // width of a value
    std::int64_t l = 32;         // tokens in a compression block
    std::int64_t d = 16;         // stride between compression blocks
    std::int64_t l_sel = 64;     // l', tokens in a selection block
    std::int64_t n = 16;         // selected blocks per query and group, forced ones included
    std::int64_t n_initial = 1;  // forced: the first blocks of the sequence
    std::int64_t n_local = 2;    // forced: the block of the query and those before it; at least 1
    std::int64_t w = 512;        // sliding window in tokens, the query's own included
    Compressor compressor = Compressor::kMean;
    std::int64_t phi_hidden = 64;  // width inside the learnable compressor; unused by kMean
    GateKind gate = GateKind::kSigmoid;
    std::int64_t gate_hidden = 64;  // width inside the gate's MLP
    bool rope = false;              // rotary position on queries and on keys of all branches; needs even dk
    double rope_base = 10000.0;

    bool operator==(const NsaConfig&) const = default;

    [[nodiscard]] std::int64_t heads_per_group() const { return heads / groups; }
    [[nodiscard]] double scale() const;  // dk^-1/2, the factor of every score
};

/// Every fault of the configuration, each as "what is wrong, and what would be right"; empty when valid.
[[nodiscard]] std::vector<std::string> faults(const NsaConfig& config);

/// Throws InputError with all faults when there are any.
void validate(const NsaConfig& config);

}  // namespace nsa::core
