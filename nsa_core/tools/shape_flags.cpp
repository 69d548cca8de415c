#include "nsa_core/tools/shape_flags.hpp"

namespace nsa::core::tools {

void add_compressor_flags(FlagTable& table, CompressorFlags& f) {
    table
        .choice("--compressor", f.compressor, {{"mean", Compressor::kMean}, {"mlp", Compressor::kMlp}},
                "how a layer compresses blocks: by their mean, or by a learnable MLP")
        .integer("--phi-hidden", f.phi_hidden, 1, 65536, "mlp: width inside the compressor");
}

void add_head_flags(FlagTable& table, AttentionShape& s) {
    table.integer("--heads", s.heads, 1, 1024, "query heads")
        .integer("--groups", s.groups, 1, 1024, "key/value heads; divides --heads")
        .integer("--dk", s.dk, 1, 1024, "width of a query and of a key")
        .integer("--dv", s.dv, 1, 1024, "width of a value");
}

void add_block_flags(FlagTable& table, AttentionShape& s) {
    constexpr std::int64_t kMany = 1 << 20;
    table.integer("--l", s.l, 1, kMany, "tokens in a compression block")
        .integer("--d", s.d, 1, kMany, "stride between compression blocks")
        .integer("--l-sel", s.l_sel, 1, kMany, "tokens in a selection block")
        .integer("--n", s.n, 3, kMany, "selected blocks, the three forced ones included")
        .integer("--w", s.w, 1, kMany, "sliding window in tokens");
}

NsaConfig config_of(const AttentionShape& s, std::int64_t dim) {
    NsaConfig config;
    config.dim = dim;
    config.heads = s.heads;
    config.groups = s.groups;
    config.dk = s.dk;
    config.dv = s.dv;
    config.l = s.l;
    config.d = s.d;
    config.l_sel = s.l_sel;
    config.n = s.n;
    config.w = s.w;
    validate(config);
    return config;
}

}  // namespace nsa::core::tools
