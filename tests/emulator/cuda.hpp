// CUDA C++ for a C++ compiler: included ahead of every emulated source by -include. The keywords, the thread
// indices and the builtins that our kernels use, and no more; what has PTX behind it is in
// include/nsa_core/cuda/ptx.cuh.
#pragma once

// Whatever stands below is redefined, so nothing of these may be read later.
#include <math.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "emulator/builtins.hpp"
#include "emulator/runtime.hpp"

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __forceinline__
#undef __launch_bounds__
#undef __grid_constant__
#undef __noinline__
#define __global__
#define __device__
#define __host__
// All shared memory is dynamic: dynamic_shared<T>() of ptx.cuh. A static variable would be shared by all
// blocks.
#define __shared__ static_assert(false, "shared memory is dynamic_shared<T>()");
#define __forceinline__ inline
#define __noinline__  // not an attribute: system headers write __attribute__((__noinline__))
#define __launch_bounds__(...)
#define __grid_constant__

#define __builtin_assume(condition) \
    ((condition) ? void() : ::nsa::emulator::fail("an assumption does not hold: " #condition))

#define cudaLaunchKernelEx ::nsa::emulator::launch_kernel
#define cudaFuncSetAttribute ::nsa::emulator::set_function_attribute
#define cudaFuncGetAttributes ::nsa::emulator::function_attributes
#define cudaDeviceGetAttribute ::nsa::emulator::device_attribute
#define cudaOccupancyMaxActiveClusters ::nsa::emulator::most_clusters
#define cudaGetDevice ::nsa::emulator::current_device
#define cudaGetLastError() cudaSuccess
