// Times of captured work on a GPU, host left out.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/bench/floor.hpp"
#include "nsa_core/routes/captured.hpp"

namespace nsa::core::bench {

class GraphTimer {
  public:
    using Replay = std::function<void()>;  // launches one graph on the current stream and does not wait

    GraphTimer(at::Device device, CachePolicy policy);

    // Milliseconds of one replay between two events. The device is kept busy while the host queues all three,
    // so that the time holds no gap; what is left beside the work is what the device takes to start a graph.
    [[nodiscard]] double once(const Replay& replay) const;

    // Milliseconds of a replay among `count` that follow one another at once, as a decode loop of captured
    // steps does. Caches are warm.
    [[nodiscard]] double back_to_back(const Replay& replay, int count) const;
    // A count whose replays last long against the events around them, and no longer than needed.
    [[nodiscard]] int count_for(const Replay& replay) const;

  private:
    at::Device device_;
    at::Tensor other_data_;  // twice the L2 cache; undefined when samples are warm
    at::Tensor sums_;
};

// How fast the device reads memory (the best of several passes over a buffer far larger than any cache) and
// makes products in bf16 (of a large matrix), unless the options say; both are written to the output.
[[nodiscard]] Ceilings ceilings_of(const DecodeBenchOptions& options, tools::Output& output,
                                   at::Device device);

// The facts that say how captured work was timed. `why_no_monitor` empty: clocks were read by NVML.
void write_graph_facts(tools::Output& output, const DecodeBenchOptions& options,
                       const std::string& why_no_monitor);

// A graph of so many empty kernels, dependent ones from the second on as in a decode step.
[[nodiscard]] Captured capture_empty(std::size_t nodes, at::Device device);

}  // namespace nsa::core::bench
