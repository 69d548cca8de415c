#include "nsa_core/bench/graph_timer.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <iostream>

#include "nsa_core/bench/stopwatch.hpp"
#include "nsa_core/cuda/measure.hpp"
#include "nsa_core/routes/cuda_check.hpp"

namespace nsa::core::bench {
namespace {

constexpr unsigned kQueueingNs = 30'000;  // longer than the host takes to queue two events and a graph

cudaStream_t current_stream() {
    return c10::cuda::getCurrentCUDAStream();
}

int multiprocessors(at::Device device) {
    int count = 0;
    check_cuda(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device.index()),
               "multiprocessors");
    return count;
}

std::int64_t l2_bytes(at::Device device) {
    int bytes = 0;
    check_cuda(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device.index()),
               "size of the L2 cache");
    return bytes;
}

// One timed stretch on the current stream, behind enough work that the host is never waited for.
template <typename Work>
double queued_milliseconds(at::Device device, const Work& work) {
    const c10::impl::VirtualGuardImpl driver{device.type()};
    const c10::Stream stream = driver.getStream(device);
    c10::Event start{device.type(), c10::EventFlag::BACKEND_DEFAULT};
    c10::Event stop{device.type(), c10::EventFlag::BACKEND_DEFAULT};
    check_cuda(cuda::launch_spin(kQueueingNs, current_stream()), "the spin");
    start.record(stream);
    work();
    stop.record(stream);
    stop.synchronize();
    return start.elapsedTime(stop);
}

double measure_read_gb_s(at::Device device) {
    constexpr std::int64_t kBytes = INT64_C(4) << 30;
    constexpr int kPasses = 10;
    const at::Tensor data = at::zeros({kBytes}, at::TensorOptions{device}.dtype(at::kByte));
    const at::Tensor sums =
        at::empty({8 * multiprocessors(device)}, at::TensorOptions{device}.dtype(at::kInt));
    double best_ms = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
        const double ms = queued_milliseconds(device, [&] {
            check_cuda(cuda::launch_read(data.const_data_ptr(), static_cast<std::size_t>(kBytes),
                                         static_cast<unsigned*>(sums.mutable_data_ptr()),
                                         static_cast<int>(sums.numel()), current_stream()),
                       "reading memory");
        });
        best_ms = pass == 0 ? ms : std::min(best_ms, ms);
    }
    return static_cast<double>(kBytes) / (best_ms * 1e-3) * 1e-9;
}

double measure_tensor_tflop_s(at::Device device) {
    constexpr std::int64_t kSide = 8192;
    constexpr int kPasses = 10;
    const auto options = at::TensorOptions{device}.dtype(at::kBFloat16);
    const at::Tensor a = at::randn({kSide, kSide}, options);
    const at::Tensor b = at::randn({kSide, kSide}, options);
    at::Tensor c = at::empty({kSide, kSide}, options);
    double best_ms = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
        const double ms = queued_milliseconds(device, [&] { at::mm_out(c, a, b); });
        best_ms = pass == 0 ? ms : std::min(best_ms, ms);
    }
    return 2.0 * kSide * kSide * kSide / (best_ms * 1e-3) * 1e-12;
}

}  // namespace

GraphTimer::GraphTimer(at::Device device, CachePolicy policy) : device_{device} {
    if (policy == CachePolicy::kWarm) return;
    other_data_ = at::zeros({2 * l2_bytes(device)}, at::TensorOptions{device}.dtype(at::kByte));
    sums_ = at::empty({4 * multiprocessors(device)}, at::TensorOptions{device}.dtype(at::kInt));
}

double GraphTimer::once(const Replay& replay) const {
    check_cuda(cudaDeviceSynchronize(), "work before a sample");
    if (other_data_.defined()) {
        check_cuda(
            cuda::launch_read(other_data_.const_data_ptr(), static_cast<std::size_t>(other_data_.numel()),
                              static_cast<unsigned*>(sums_.mutable_data_ptr()),
                              static_cast<int>(sums_.numel()), current_stream()),
            "filling the L2 cache");
    }
    return queued_milliseconds(device_, replay);
}

double GraphTimer::back_to_back(const Replay& replay, int count) const {
    check_cuda(cudaDeviceSynchronize(), "work before a sample");
    const double all = queued_milliseconds(device_, [&] {
        for (int i = 0; i < count; ++i)
            replay();
    });
    return all / count;
}

int GraphTimer::count_for(const Replay& replay) const {
    constexpr double kLastingMs = 4;
    return static_cast<int>(std::clamp(kLastingMs / once(replay), 4.0, 200.0));
}

Ceilings ceilings_of(const DecodeBenchOptions& o, tools::Output& output, at::Device device) {
    const bool bandwidth_given = o.bandwidth_gb_s > 0;
    const bool rate_given = o.tensor_tflop_s > 0;
    const double gb_s = bandwidth_given ? static_cast<double>(o.bandwidth_gb_s) : measure_read_gb_s(device);
    const double tflop_s =
        rate_given ? static_cast<double>(o.tensor_tflop_s) : measure_tensor_tflop_s(device);
    const auto ceiling = [&](const char* name, double value, const char* unit, bool given) {
        output.results.write(tools::Metric{.name = name, .value = value, .unit = unit});
        output.results.write(
            tools::Fact{.name = std::string{name} + "_source", .value = given ? "flag" : "measured"});
    };
    ceiling("bandwidth", gb_s, "GB/s", bandwidth_given);
    ceiling("tensor_rate", tflop_s, "TFLOP/s", rate_given);
    std::cout << "memory is read at " << gb_s << " GB/s, bf16 products are made at " << tflop_s << " TFLOP/s"
              << std::endl;
    constexpr double kGiga = 1e9;
    constexpr double kTera = 1e12;
    return {.bytes_per_s = gb_s * kGiga, .flops_per_s = tflop_s * kTera};
}

void write_graph_facts(tools::Output& output, const DecodeBenchOptions& o,
                       const std::string& why_no_monitor) {
    const auto fact = [&](const char* name, std::string value) {
        output.results.write(tools::Fact{.name = name, .value = std::move(value)});
    };
    fact("scope", o.scope == Scope::kAttention ? "attention" : "module");
    fact("timer", "cuda_event around a replayed graph");
    fact("warmup", std::to_string(o.warmup));
    fact("cache_policy", o.cache_policy == CachePolicy::kWarm ? "warm" : "cold");
    fact("batch", std::to_string(o.batch));
    fact("gpu_monitor", why_no_monitor.empty() ? "nvml" : "none: " + why_no_monitor);
}

Captured capture_empty(std::size_t nodes, at::Device device) {
    const int blocks = multiprocessors(device);
    return Captured{[nodes, blocks] {
        for (std::size_t i = 0; i < nodes; ++i)
            check_cuda(cuda::launch_empty(blocks, /*dependent=*/i > 0, current_stream()), "an empty kernel");
    }};
}

}  // namespace nsa::core::bench
