// Record of every scaled_dot_product_attention call (NSA_SDPA_AUDIT): the log that would have shown, in the
// first minute, that the seed's oracle saw one key only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <iosfwd>

namespace nsa::core {

/// Counts and logs SDPA calls. Not thread safe: one audit per module or parity run.
class SdpaAudit {
  public:
    explicit SdpaAudit(std::ostream& log) : log_(&log) {}

    /// One call: q [.., queries, dk], k [.., keys, dk], its result and whether it asked for is_causal.
    void record(const at::Tensor& q, const at::Tensor& k, const at::Tensor& out, bool is_causal,
                bool has_mask);

    [[nodiscard]] std::int64_t calls() const { return calls_; }
    /// Calls with is_causal and fewer queries than keys: aligned top-left, so the last query misses keys.
    [[nodiscard]] std::int64_t misaligned_calls() const { return misaligned_calls_; }
    [[nodiscard]] std::int64_t nan_rows() const { return nan_rows_; }

  private:
    std::ostream* log_;  // not owned
    std::int64_t calls_ = 0;
    std::int64_t misaligned_calls_ = 0;
    std::int64_t nan_rows_ = 0;
};

}  // namespace nsa::core
