// The kernels of route cuda on the CPU, behind the interface of the tensor entry points.
#pragma once

#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::prefill_test {

/// Each launch is over when it returns. A fault of the emulator throws.
[[nodiscard]] const core::PrefillKernels& emulated_prefill_kernels();

}  // namespace nsa::prefill_test
