// Cases of learnable compression on the emulator: forward, then the backward from its results, judged by
// loops.
#pragma once

#include <cstdint>
#include <vector>

#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::prefill_test {

enum class PhiData : std::uint8_t { kNormal, kTiny, kHuge, kEqual };

struct CompressCase {
    core::cuda::HalfType dtype = core::cuda::HalfType::kBf16;
    int dk = 32;
    int dv = 32;
    int groups = 2;
    std::vector<int> lengths{40};  // of the sequences; equal unless packed
    int l = 8;
    int d = 4;
    int hidden = 16;
    PhiData data = PhiData::kNormal;
    bool packed = false;      // by cu_tokens, with rows before the first sequence and behind the last
    bool head_major = false;  // [B, G, S, width] in place of [B, S, G, width]
    int splits = 1;
    std::uint64_t seed = 0;  // of the emulator's schedule
};

/// What the kernels wrote, as bits, for comparing runs.
using CompressBits = std::vector<std::vector<std::uint16_t>>;

/// Runs the case and expects: results within twice the error of a plain 16-bit implementation, every result
/// written and nothing else, no bank conflicts.
CompressBits expect_compression(const CompressCase& c);

}  // namespace nsa::prefill_test
