// The flags that every measurement of attention shares, and the configuration they describe. Options is any
// struct with the members heads, groups, dk, dv, l, d, l_sel, n and w.
#pragma once

#include <cstdint>

#include "nsa_core/config.hpp"
#include "nsa_core/tools/flags.hpp"

namespace nsa::core::tools {

template <class Options>
void add_head_flags(FlagTable& table, Options& o) {
    table.integer("--heads", o.heads, 1, 1024, "query heads")
        .integer("--groups", o.groups, 1, 1024, "key/value heads; divides --heads")
        .integer("--dk", o.dk, 1, 1024, "width of a query and of a key")
        .integer("--dv", o.dv, 1, 1024, "width of a value");
}

template <class Options>
void add_block_flags(FlagTable& table, Options& o) {
    constexpr std::int64_t kMany = 1 << 20;
    table.integer("--l", o.l, 1, kMany, "tokens in a compression block")
        .integer("--d", o.d, 1, kMany, "stride between compression blocks")
        .integer("--l-sel", o.l_sel, 1, kMany, "tokens in a selection block")
        .integer("--n", o.n, 1, kMany, "selected blocks, forced ones included")
        .integer("--w", o.w, 1, kMany, "sliding window in tokens");
}

// Throws InputError when the flags do not fit one another.
template <class Options>
NsaConfig config_of(const Options& o, std::int64_t dim) {
    NsaConfig config;
    config.dim = dim;
    config.heads = o.heads;
    config.groups = o.groups;
    config.dk = o.dk;
    config.dv = o.dv;
    config.l = o.l;
    config.d = o.d;
    config.l_sel = o.l_sel;
    config.n = o.n;
    config.w = o.w;
    validate(config);
    return config;
}

}  // namespace nsa::core::tools
