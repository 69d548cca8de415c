// The least that a decode step can cost: bytes that must move and products that must be made. Pure.
#pragma once

#include <cstdint>

#include "nsa_core/config.hpp"

namespace nsa::core::bench {

struct Work {
    double bytes = 0;
    double flops = 0;  // two for each multiplication with addition
};

/// One NSA step of `batch` sequences that are `seq` tokens long with it: every key and value that the step
/// attends once, q, gates and the new rows in, output and appended rows out.
[[nodiscard]] Work step_work(const NsaConfig& config, std::int64_t batch, std::int64_t seq,
                             std::int64_t element_bytes);

/// One step of the whole layer for one sequence: `weights` parameters read once, and its attention.
[[nodiscard]] Work layer_work(const NsaConfig& config, std::int64_t weights, std::int64_t seq,
                              std::int64_t element_bytes);

/// What the device does when nothing else binds.
struct Ceilings {
    double bytes_per_s = 0;
    double flops_per_s = 0;
};

struct Floor {
    double bytes_ms = 0;
    double flops_ms = 0;
    [[nodiscard]] double ms() const { return bytes_ms > flops_ms ? bytes_ms : flops_ms; }
    /// 100 when `measured_ms` is the floor itself, 50 when it takes twice as long.
    [[nodiscard]] double percent(double measured_ms) const { return 100 * ms() / measured_ms; }
};
[[nodiscard]] Floor floor_of(const Work& work, const Ceilings& ceilings);

}  // namespace nsa::core::bench
