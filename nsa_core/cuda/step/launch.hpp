// The kernels behind step.hpp, one function each per team. Inside of nsa_core/cuda/step.
#pragma once

#include <driver_types.h>

#include <cstddef>

#include "nsa_core/cuda/step/arguments.hpp"

namespace nsa::core::cuda::step {

struct Geometry {
    int width = 0;      // dk and dv: 16, 32 or 64
    bool seed = false;  // the seed's layer, which has kernels of its own
    int ranks = 0;
    std::size_t shared_bytes = 0;
};

/// Raises the kernel's limits to `geometry` on the current device.
[[nodiscard]] cudaError_t prepare_cluster(const Geometry& geometry);
[[nodiscard]] cudaError_t prepare_grid(const Geometry& geometry);

/// Whether the current device can run it: this program has code of it with clusters, and one fits.
[[nodiscard]] bool cluster_runs(const Geometry& geometry);
[[nodiscard]] bool grid_runs(const Geometry& geometry);

[[nodiscard]] cudaError_t launch_cluster(const Arguments& arguments, const Geometry& geometry,
                                         cudaStream_t stream);
[[nodiscard]] cudaError_t launch_grid(const Arguments& arguments, const Geometry& geometry,
                                      cudaStream_t stream);

}  // namespace nsa::core::cuda::step
