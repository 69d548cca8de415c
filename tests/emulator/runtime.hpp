// The calls of the CUDA runtime that launchers make, so that whole .cu files run unchanged. A launch is put
// into a queue, as into a stream; finish() runs what is there.
#pragma once

#include <driver_types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "emulator/launch.hpp"

namespace nsa::emulator {

/// A launch that ran.
struct Finished {
    std::string kernel;
    Launch launch;
    Counters counters;
};

/// Runs all launches since the last call, in order, with this schedule (see schedule.hpp). A dependent launch
/// whose schedule starts early runs beside the one ahead until it waits for it. Throws KernelFault; then the
/// queue is empty too.
std::vector<Finished> finish(std::uint64_t seed = 0);

/// What the runtime says of the device, an H200. All code is as compiled for it.
struct Device {
    static constexpr int kSm = 90;
    static inline int multiprocessors = 132;  // fewer, where a test wants a thread block to do more
    static constexpr std::size_t kSharedBytes = 227 * 1024;  // that a thread block can have
};

// What the runtime's functions become in an emulated source, see cuda.hpp. Launches that the device would
// refuse (shared memory beyond the kernel's limit, a cluster of more than 8 without leave) are refused with
// its error.
cudaError_t enqueue(const cudaLaunchConfig_t& config, const void* function, std::function<void()> kernel);
cudaError_t set_function_attribute(const void* function, cudaFuncAttribute attribute, int value);
cudaError_t function_attributes(cudaFuncAttributes* attributes);
cudaError_t device_attribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t current_device(int* device);

template <class... Parameters>
cudaError_t set_function_attribute(void (*function)(Parameters...), cudaFuncAttribute attribute, int value) {
    return set_function_attribute(reinterpret_cast<const void*>(function), attribute, value);
}

template <class... Parameters>
cudaError_t function_attributes(cudaFuncAttributes* attributes, void (*)(Parameters...)) {
    return function_attributes(attributes);
}

template <class... Parameters>
cudaError_t most_clusters(int* clusters, void (*)(Parameters...), const cudaLaunchConfig_t*) {
    *clusters = 1;
    return cudaSuccess;
}

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                          Arguments&&... arguments) {
    return enqueue(*config, reinterpret_cast<const void*>(kernel),
                   [kernel, values = std::tuple<Parameters...>{std::forward<Arguments>(arguments)...}] {
                       std::apply(kernel, values);
                   });
}

}  // namespace nsa::emulator
