#include "nsa_core/bench/prefill_timer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <iostream>

#include "nsa_core/tools/host.hpp"

#ifdef NSA_WITH_CUDA
#include <ATen/cuda/Sleep.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#endif

namespace nsa::core::bench {
namespace {

constexpr std::int64_t kHostCacheBytes = INT64_C(64) << 20;  // no smaller than the last cache of most hosts

std::int64_t cache_bytes([[maybe_unused]] at::Device device) {
#ifdef NSA_WITH_CUDA
    int bytes = 0;
    if (device.is_cuda() &&
        cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device.index()) == cudaSuccess)
        return bytes;
#endif
    return kHostCacheBytes;
}

// The best of a few passes: what the device does when nothing else binds.
template <typename Work>
double best_ms(at::Device device, const Work& work) {
    constexpr int kPasses = 5;
    const Stopwatch stopwatch{device};
    double best = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
        const double ms = stopwatch.milliseconds(work);
        best = pass == 0 ? ms : std::min(best, ms);
    }
    return best;
}

double measure_read_gb_s(at::Device device) {
    const std::int64_t bytes = device.is_cpu() ? INT64_C(1) << 28 : INT64_C(4) << 30;
    const at::Tensor data = at::zeros({bytes / 4}, at::TensorOptions{device}.dtype(at::kFloat));
    return static_cast<double>(bytes) / (best_ms(device, [&] { (void)at::sum(data); }) * 1e-3) * 1e-9;
}

double measure_tflop_s(at::TensorOptions options) {
    const std::int64_t side = options.device().is_cpu() ? 512 : 8192;
    const at::Tensor a = at::randn({side, side}, options);
    const at::Tensor b = at::randn({side, side}, options);
    at::Tensor c = at::empty({side, side}, options);
    const double ms = best_ms(options.device(), [&] { at::mm_out(c, a, b); });
    return 2.0 * static_cast<double>(side * side * side) / (ms * 1e-3) * 1e-12;
}

}  // namespace

PrefillTimer::PrefillTimer(at::Device device, CachePolicy policy) : device_{device}, stopwatch_{device} {
    if (policy == CachePolicy::kWarm) return;
    other_data_ = at::zeros({2 * cache_bytes(device) / 4}, at::TensorOptions{device}.dtype(at::kFloat));
}

void PrefillTimer::prepare() const {
    const c10::NoGradGuard no_grad;
    if (other_data_.defined()) (void)at::sum(other_data_);
}

void PrefillTimer::occupy() const {
#ifdef NSA_WITH_CUDA
    constexpr std::int64_t kCycles = 300'000;  // some 150 us: longer than the first launches of a pass take
    if (device_.is_cuda()) at::cuda::sleep(kCycles);
#endif
}

Ceilings prefill_ceilings(const PrefillBenchOptions& o, tools::Output& output, at::TensorOptions options) {
    const c10::NoGradGuard no_grad;
    const bool bandwidth_given = o.bandwidth_gb_s > 0;
    const bool rate_given = o.tensor_tflop_s > 0;
    const double gb_s =
        bandwidth_given ? static_cast<double>(o.bandwidth_gb_s) : measure_read_gb_s(options.device());
    const double tflop_s = rate_given ? static_cast<double>(o.tensor_tflop_s) : measure_tflop_s(options);
    const auto ceiling = [&](const char* name, double value, const char* unit, bool given) {
        output.results.write(tools::Metric{.name = name, .value = value, .unit = unit});
        output.results.write(
            tools::Fact{.name = std::string{name} + "_source", .value = given ? "flag" : "measured"});
    };
    ceiling("bandwidth", gb_s, "GB/s", bandwidth_given);
    ceiling("tensor_rate", tflop_s, "TFLOP/s", rate_given);
    std::cout << "the floor assumes " << gb_s << " GB/s and " << tflop_s << " TFLOP/s" << std::endl;
    constexpr double kGiga = 1e9;
    constexpr double kTera = 1e12;
    return {.bytes_per_s = gb_s * kGiga, .flops_per_s = tflop_s * kTera};
}

void forget_peak_memory([[maybe_unused]] at::Device device) {
#ifdef NSA_WITH_CUDA
    if (device.is_cuda()) c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
#endif
}

double peak_memory_bytes([[maybe_unused]] at::Device device) {
#ifdef NSA_WITH_CUDA
    if (device.is_cuda()) {
        constexpr std::size_t kAllPools = 0;  // StatType::AGGREGATE, whose namespace moved between releases
        return static_cast<double>(
            c10::cuda::CUDACachingAllocator::getDeviceStats(device.index()).allocated_bytes[kAllPools].peak);
    }
#endif
    return static_cast<double>(tools::peak_resident_bytes());
}

}  // namespace nsa::core::bench
