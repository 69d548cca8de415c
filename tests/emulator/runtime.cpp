#include "emulator/runtime.hpp"

#include <dlfcn.h>

#include <boost/core/demangle.hpp>
#include <map>
#include <utility>

#include "emulator/schedule.hpp"

namespace nsa::emulator {
namespace {

struct Queued {
    Launch launch;
    std::function<void()> kernel;
    bool dependent = false;
};

struct FunctionLimits {
    std::size_t shared_bytes = 48 * 1024;
    unsigned cluster = 8;
};

std::vector<Queued> queue;
std::map<const void*, FunctionLimits> limits;

// The program exports its symbols for this (ENABLE_EXPORTS); a kernel without one gets its address.
std::string name_of(const void* function) {
    Dl_info info{};
    if (dladdr(function, &info) == 0 || info.dli_sname == nullptr || info.dli_saddr != function)
        return "without a name";
    std::string name = boost::core::demangle(info.dli_sname);
    return name.substr(0, name.find('('));
}

// Runs launch `i` and, as far as they have not run, those ahead of it.
void run_queued(std::vector<Queued>& all, std::size_t i, std::vector<Finished>& finished) {
    Queued& mine = all[i];
    std::function<void()> ahead;
    if (i > 0) ahead = [&all, i, &finished] { run_queued(all, i - 1, finished); };
    if (ahead && !(mine.dependent && Schedule{mine.launch.seed}.starts_early())) {
        ahead();
        ahead = nullptr;
    }
    const Counters counters = launch(mine.launch, mine.kernel, std::move(ahead));
    finished.push_back({mine.launch.name, mine.launch, counters});
}

}  // namespace

cudaError_t set_function_attribute(const void* function, cudaFuncAttribute attribute, int value) {
    FunctionLimits& mine = limits[function];
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || static_cast<std::size_t>(value) > Device::kSharedBytes) return cudaErrorInvalidValue;
        mine.shared_bytes = static_cast<std::size_t>(value);
        return cudaSuccess;
    }
    if (attribute == cudaFuncAttributeNonPortableClusterSizeAllowed) {
        mine.cluster = value != 0 ? 16 : 8;
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
}

cudaError_t function_attributes(cudaFuncAttributes* attributes) {
    *attributes = {};
    attributes->ptxVersion = Device::kSm;
    attributes->binaryVersion = Device::kSm;
    return cudaSuccess;
}

cudaError_t device_attribute(int* value, cudaDeviceAttr attribute, int device) {
    if (device != 0) return cudaErrorInvalidDevice;
    switch (attribute) {
        case cudaDevAttrComputeCapabilityMajor:
            *value = Device::kSm / 10;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor:
            *value = Device::kSm % 10;
            return cudaSuccess;
        case cudaDevAttrMultiProcessorCount:
            *value = Device::multiprocessors;
            return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(Device::kSharedBytes);
            return cudaSuccess;
        case cudaDevAttrCooperativeLaunch:
            *value = 1;
            return cudaSuccess;
        default:
            return cudaErrorNotSupported;
    }
}

cudaError_t current_device(int* device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t enqueue(const cudaLaunchConfig_t& config, const void* function, std::function<void()> kernel) {
    Queued queued{.launch = {.grid = config.gridDim,
                             .block = config.blockDim,
                             .shared_bytes = config.dynamicSmemBytes,
                             .name = name_of(function)},
                  .kernel = std::move(kernel)};
    for (unsigned i = 0; i < config.numAttrs; ++i) {
        const cudaLaunchAttribute& attribute = config.attrs[i];
        if (attribute.id == cudaLaunchAttributeClusterDimension)
            queued.launch.cluster = attribute.val.clusterDim.x;
        if (attribute.id == cudaLaunchAttributeCooperative)
            queued.launch.cooperative = attribute.val.cooperative != 0;
        if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization)
            queued.dependent = attribute.val.programmaticStreamSerializationAllowed != 0;
    }
    const FunctionLimits& mine = limits[function];
    if (config.dynamicSmemBytes > mine.shared_bytes) return cudaErrorInvalidValue;
    if (queued.launch.cluster > mine.cluster) return cudaErrorInvalidClusterSize;
    queue.push_back(std::move(queued));
    return cudaSuccess;
}

std::vector<Finished> finish(std::uint64_t seed) {
    std::vector<Queued> all = std::exchange(queue, {});
    std::vector<Finished> finished;
    if (all.empty()) return finished;
    for (Queued& queued : all)
        queued.launch.seed = seed;
    run_queued(all, all.size() - 1, finished);
    return finished;
}

}  // namespace nsa::emulator
