// Learnable compression by kernels, as a differentiable function of tensors, against LibTorch's in fp64.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/numeric.hpp"
#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::core::parity {

struct CompressionCase {
    std::int64_t dk = 32;
    std::int64_t dv = 32;
    std::int64_t hidden = 16;
    std::vector<std::int64_t> lengths{70, 70};
    bool packed = false;  // by cu_tokens; else all lengths are equal
    DType dtype = DType::kBf16;
    std::int64_t l = 8;
    std::int64_t d = 4;

    [[nodiscard]] NsaConfig config() const;  // of two groups
};

struct CompressionReport {
    /// Results, then gradients of rows and of each weight: error as a share of metrics.hpp's bound.
    std::vector<std::pair<std::string, double>> bound_ratios;
    std::int64_t canary_hits = 0;
    std::int64_t rerun_differences = 0;  // of tensors, in two runs
    std::int64_t largest = 0;            // numbers in the largest tensor that the kernels asked for

    [[nodiscard]] bool clean() const;
    [[nodiscard]] std::string text() const;
};

/// On tensors of `device`, which is that of the kernels.
[[nodiscard]] CompressionReport check_compression(const CompressionCase& c, at::Device device,
                                                  const PrefillKernels& kernels);

}  // namespace nsa::core::parity
