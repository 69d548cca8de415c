// Times of passes over whole sequences, on any device that Torch has; and what that device can do at best.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/bench/prefill_bench.hpp"
#include "nsa_core/bench/stopwatch.hpp"

namespace nsa::core::bench {

class PrefillTimer {
  public:
    PrefillTimer(at::Device device, CachePolicy policy);

    // Milliseconds of `work()`. On a GPU the device is busy while the host queues the first launches, so that
    // a pass of few kernels holds no gap; a pass of so many launches that the host falls behind still holds
    // those.
    template <typename Work>
    [[nodiscard]] double milliseconds(const Work& work) const {
        prepare();
        return stopwatch_.milliseconds(work, [this] { occupy(); });
    }

    [[nodiscard]] const char* kind() const { return stopwatch_.kind(); }

  private:
    void prepare() const;  // fills the cache with other data where samples are cold
    void occupy() const;   // keeps a GPU busy for a moment

    at::Device device_;
    Stopwatch stopwatch_;
    at::Tensor other_data_;  // twice the last-level cache; undefined when samples are warm
};

// How fast the device reads memory and makes products in the dtype, unless the options say; both are written
// to the output as `bandwidth` and `tensor_rate`, with facts that name their source.
[[nodiscard]] Ceilings prefill_ceilings(const PrefillBenchOptions& options, tools::Output& output,
                                        at::TensorOptions tensor_options);

// Most memory that `work` holds at once, what it began with included. On the CPU that of the process so far.
void forget_peak_memory(at::Device device);
[[nodiscard]] double peak_memory_bytes(at::Device device);

}  // namespace nsa::core::bench
