// Runs a kernel on the CPU, every thread of it, and judges how it uses the device: see
// docs/kernels/emulator.md.
#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "emulator/counters.hpp"
#include "emulator/error.hpp"

namespace nsa::emulator {

struct Launch {
    dim3 grid{1, 1, 1};
    dim3 block{32, 1, 1};
    unsigned cluster = 1;          // thread blocks along x
    std::size_t shared_bytes = 0;  // dynamic
    std::uint64_t seed = 0;        // of the order in which threads run, see schedule.hpp
    std::string name = "under test";
    bool cooperative = false;  // all thread blocks run at the same time
};

/// `kernel()` is called once for each thread. `previous`: a kernel ahead that the launch may start beside
/// (dependent launch); it is called once, when the first thread waits for it or, at the latest, at the end.
/// Throws KernelFault. From one OS thread at a time.
Counters launch(const Launch& launch, const std::function<void()>& kernel,
                std::function<void()> previous = nullptr);

}  // namespace nsa::emulator
