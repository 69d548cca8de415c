// Cases of a dense branch on the emulator: forward, then the backward from its results, judged by the oracle.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/cuda/prefill/path.hpp"

namespace nsa::prefill_test {

enum class Data : std::uint8_t {
    kNormal,
    kTiny,       // scores of 1e-6
    kHuge,       // scores of 1e3: one key has all the weight
    kEqualKeys,  // all keys alike
};

struct DenseCase {
    core::cuda::HalfType dtype = core::cuda::HalfType::kBf16;
    int dk = 32;
    int dv = 32;
    int groups = 2;
    int per_group = 4;
    std::vector<int> lengths{70};  // of the sequences; equal unless packed
    core::cuda::DenseBranch branch = core::cuda::DenseBranch::kWindow;
    int l = 32;
    int d = 16;
    int w = 40;
    Data data = Data::kNormal;
    bool packed = false;      // by cu_tokens, with rows before the first sequence and behind the last
    bool head_major = false;  // [B, H, S, width] in place of [B, S, H, width]
    bool gated = false;
    int splits = 1;
    bool add_to_d_q = false;  // to rows that hold 1
    std::uint64_t seed = 0;   // of the emulator's schedule
    core::cuda::KernelPath path = core::cuda::KernelPath::kMma;
    int multiprocessors = 132;  // of the emulated device
};

/// What the kernels wrote, as bits, for comparing runs.
struct Written {
    std::vector<std::uint16_t> out, d_q, d_k, d_v;
    std::vector<float> lse;
    std::uint64_t mma = 0;  // matrix instructions that it took; 0 on a GPU, which does not count

    bool operator==(const Written&) const = default;
};

/// Runs the case and expects: results within twice the error of a plain 16-bit implementation, every result
/// written and nothing else, normalisers of -inf and zeros where a query sees nothing, no bank conflicts.
Written expect_dense(const DenseCase& c);

/// The same of the forward alone.
Written expect_dense_forward(const DenseCase& c);

/// Runs the forward with NaN in the queries of token row `token`, which sees keys, and expects NaN in its
/// results and nowhere else.
void expect_nan_stays(const DenseCase& c, std::size_t token);

}  // namespace nsa::prefill_test
