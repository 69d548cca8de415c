// Times of captured work on a GPU, host left out.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/routes/captured.hpp"

namespace nsa::core::bench {

class GraphTimer {
  public:
    GraphTimer(at::Device device, CachePolicy policy);

    // Milliseconds of one replay between two events. The device is kept busy while the host queues all three,
    // so that the time holds no gap; what is left beside the work is what the device takes to start a graph.
    [[nodiscard]] double once(Captured& work) const;

    // Milliseconds of a replay among `count` that follow one another at once, as a decode loop of captured
    // steps does. Caches are warm.
    [[nodiscard]] double back_to_back(Captured& work, int count) const;

  private:
    at::Device device_;
    at::Tensor other_data_;  // twice the L2 cache; undefined when samples are warm
    at::Tensor sums_;
};

// GB/s (1e9 bytes) of reading a buffer far larger than any cache, the best of several passes.
[[nodiscard]] double measure_read_gb_s(at::Device device);
// TFLOP/s of a large product in bf16, the best of several.
[[nodiscard]] double measure_tensor_tflop_s(at::Device device);

// A graph of so many empty kernels, dependent ones from the second on as in a decode step.
[[nodiscard]] Captured capture_empty(std::size_t nodes, at::Device device);

}  // namespace nsa::core::bench
