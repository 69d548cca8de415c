// The flags that every measurement of attention shares, and the configuration they describe.
#pragma once

#include <cstdint>

#include "nsa_core/config.hpp"
#include "nsa_core/tools/flags.hpp"

namespace nsa::core::tools {

struct AttentionShape {
    std::int64_t heads = 8;
    std::int64_t groups = 2;
    std::int64_t dk = 32;
    std::int64_t dv = 32;
    std::int64_t l = 32;
    std::int64_t d = 16;
    std::int64_t l_sel = 64;
    std::int64_t n = 16;
    std::int64_t w = 512;
};

// Of a whole layer: how it compresses.
struct CompressorFlags {
    Compressor compressor = Compressor::kMean;
    std::int64_t phi_hidden = 64;
};

void add_compressor_flags(FlagTable& table, CompressorFlags& flags);
void add_head_flags(FlagTable& table, AttentionShape& shape);
void add_block_flags(FlagTable& table, AttentionShape& shape);

// Throws InputError when the flags do not fit one another.
[[nodiscard]] NsaConfig config_of(const AttentionShape& shape, std::int64_t dim);

}  // namespace nsa::core::tools
