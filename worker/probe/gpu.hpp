// GPUs of the host, by nvidia-smi: no driver library is linked, so the worker also starts where there is
// none.
#pragma once

#include <chrono>

#include "posix/spawn.hpp"
#include "probe/parse.hpp"

namespace nsa::probe {

// gpu_count 0 always comes with gpu_reason. Takes at most `deadline`, even when the driver hangs.
Facts probe_gpus(const posix::Environment& environment, std::chrono::milliseconds deadline);

}  // namespace nsa::probe
