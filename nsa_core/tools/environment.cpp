#include "nsa_core/tools/environment.hpp"

#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/version.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "nsa_core/device.hpp"
#include "nsa_core/tools/host.hpp"

#ifdef NSA_WITH_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#endif

namespace nsa::core::tools {
namespace {

#ifdef NSA_WITH_CUDA
std::string uuid_text(const cudaUUID_t& uuid) {
    std::string text = "GPU";
    for (std::size_t i = 0; i < sizeof uuid.bytes; ++i) {
        // Groups of 4, 2, 2, 2 and 6 bytes, as nvidia-smi writes them.
        if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        std::array<char, 3> hex{};
        std::snprintf(hex.data(), hex.size(), "%02x", static_cast<unsigned char>(uuid.bytes[i]));
        text += hex.data();
    }
    return text;
}
#endif

}  // namespace

void add_device_flag(FlagTable& table, DeviceFlag& target) {
    table.choice("--device", target,
                 {{"auto", DeviceFlag::kAuto}, {"cpu", DeviceFlag::kCpu}, {"cuda", DeviceFlag::kCuda}},
                 "auto: CUDA when a device is visible; cuda without one is a skip");
}

void add_dtype_flag(FlagTable& table, DType& target) {
    table.choice(
        "--dtype", target,
        {{"fp64", DType::kFp64}, {"fp32", DType::kFp32}, {"fp16", DType::kFp16}, {"bf16", DType::kBf16}},
        "element type");
}

std::string no_cuda_reason() {
#ifdef NSA_WITH_CUDA
    return "no CUDA device is visible";
#else
    return "no CUDA device can be used: this nsa-core was built without CUDA";
#endif
}

std::variant<DeviceKind, Skipped> choose_device(DeviceFlag flag) {
    if (flag == DeviceFlag::kCpu) return DeviceKind::kCpu;
    if (cuda_available()) return DeviceKind::kCuda;
    if (flag == DeviceFlag::kAuto) return DeviceKind::kCpu;
    return Skipped{"--device cuda: " + no_cuda_reason()};
}

std::vector<GpuInfo> visible_gpus() {
    std::vector<GpuInfo> gpus;
#ifdef NSA_WITH_CUDA
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) return gpus;  // no driver: no GPU either
    for (int device = 0; device < count; ++device) {
        cudaDeviceProp properties{};
        if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) continue;
        gpus.push_back({.name = properties.name,
                        .uuid = uuid_text(properties.uuid),
                        .sm = properties.major * 10 + properties.minor,
                        .memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem)});
    }
#endif
    return gpus;
}

int sm_of(DeviceKind device) {
    if (device == DeviceKind::kCpu) return 0;
    const std::vector<GpuInfo> gpus = visible_gpus();
    return gpus.empty() ? 0 : gpus.front().sm;
}

std::string torch_version() {
    return TORCH_VERSION;
}

std::string cuda_version() {
#ifdef NSA_WITH_CUDA
    int version = 0;  // 1000 * major + 10 * minor
    if (cudaRuntimeGetVersion(&version) != cudaSuccess) return {};
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
#else
    return {};
#endif
}

std::string cudnn_version() {
    if (!cuda_available() || !at::detail::getCUDAHooks().hasCuDNN()) return {};
    const long version = at::detail::getCUDAHooks().versionCuDNN();  // 10000 * major + 100 * minor + patch
    return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100);
}

void write_run_facts(Output& output, DeviceKind device, DType dtype, std::int64_t seed) {
    const bool cuda = device == DeviceKind::kCuda;
    const auto fact = [&](const char* name, std::string value) {
        output.results.write(Fact{.name = name, .value = std::move(value)});
    };
    fact("device", cuda ? "cuda:0" : "cpu");
    fact("dtype", std::string{name(dtype)});
    fact("seed", std::to_string(seed));
    fact("torch_version", torch_version());
    fact("threads", std::to_string(at::get_num_threads()));
    fact("cpu_model", host_info().cpu_model);
    if (!cuda) return;
    const std::vector<GpuInfo> gpus = visible_gpus();
    fact("cuda_version", cuda_version());
    fact("gpu_name", gpus.empty() ? "unknown" : gpus.front().name);
    fact("gpu_uuid", gpus.empty() ? "unknown" : gpus.front().uuid);
    fact("driver", nvidia_driver_version());
}

void write_route_facts(Output& output, Branch branch, const RouteChoice& choice, const Labels& more) {
    Labels labels{{"branch", std::string{name(branch)}}};
    labels.insert(labels.end(), more.begin(), more.end());
    const std::string asked{choice.asked ? name(*choice.asked) : "auto"};
    output.results.write(Fact{.name = "route_asked", .value = asked, .labels = labels});
    output.results.write(
        Fact{.name = "route_taken", .value = std::string{name(choice.taken)}, .labels = labels});
    output.results.write(Fact{.name = "route_reason", .value = choice.reason, .labels = labels});
}

void write_audit_facts(Output& output, const AuditCounts& counts) {
    const auto fact = [&](const char* name, std::int64_t count) {
        output.results.write(Fact{.name = name, .value = std::to_string(count)});
    };
    fact("sdpa_calls", counts.calls);
    fact("sdpa_misaligned_calls", counts.misaligned_calls);
    fact("sdpa_nan_rows", counts.nan_rows);
}

void write_peak_memory(Output& output, [[maybe_unused]] DeviceKind device) {
    std::int64_t bytes = peak_resident_bytes();
#ifdef NSA_WITH_CUDA
    if (device == DeviceKind::kCuda) {
        constexpr std::size_t kAllPools = 0;  // StatType::AGGREGATE, whose namespace moved between releases
        bytes = c10::cuda::CUDACachingAllocator::getDeviceStats(0).allocated_bytes[kAllPools].peak;
    }
#endif
    output.results.write(
        Metric{.name = "peak_memory_bytes", .value = static_cast<double>(bytes), .unit = "B"});
}

}  // namespace nsa::core::tools
