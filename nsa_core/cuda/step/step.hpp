// The whole layer's decode step in one kernel: is a shape supported, on how many ranks, how much scratch,
// launch.
#pragma once

#include <driver_types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "nsa_core/cuda/step/params.hpp"

namespace nsa::core::cuda {

/// How the ranks meet and exchange.
enum class StepTeam : std::uint8_t {
    kCluster16,  // one cluster of 16 thread blocks (sm_90; a non-portable size), distributed shared memory
    kCluster8,   // of 8, where 16 do not fit
    kGrid,       // 16 thread blocks of a cooperative launch, through the L2: any chip from sm_80 on
};

/// Nothing when `team` can run this shape on any device that has it; else what does not fit and what would.
/// Pure.
[[nodiscard]] std::optional<std::string> step_unsupported(const StepShape& shape, StepTeam team);

/// The same on a device that gives a thread block so many bytes of shared memory at most: 8.6, 8.9 and 12.x
/// have the grid, and less of it than 8.0.
[[nodiscard]] std::optional<std::string> step_unsupported(const StepShape& shape, StepTeam team,
                                                          int shared_bytes);

/// Whether `team` runs a supported shape on the current device with the code that this program carries for
/// it. Asks the driver; not under capture.
[[nodiscard]] bool step_runs(const StepShape& shape, StepTeam team);

/// The fastest team that runs `shape` on the current device; nothing when none does, and then
/// step_unsupported(shape, StepTeam::kGrid) may say why.
[[nodiscard]] std::optional<StepTeam> choose_step_team(const StepShape& shape);

[[nodiscard]] std::size_t step_workspace_bytes(const StepShape& shape, StepTeam team);

/// Once per process and device before launches of `team`: raises the kernel's shared memory limit, and never
/// lowers it for another step that lives. Not under capture.
[[nodiscard]] cudaError_t prepare_step(const StepShape& shape, StepTeam team);

/// One launch on `stream`, without host reads, allocation or synchronisation: may be captured. The shape must
/// be supported and prepared. Steps that share a workspace must be in stream order.
[[nodiscard]] cudaError_t launch_step(const StepParams& params, StepTeam team, cudaStream_t stream);

}  // namespace nsa::core::cuda
