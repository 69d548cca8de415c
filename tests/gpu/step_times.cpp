// Times of the one-kernel step in a captured graph: one replay between two events, and replays back to back,
// per team and length; then the processor clocks of its stages. Prints CSV. Random rows in the caches, fp32.
//   step_times [S]...     default 512 1024 2048 4096 8192
#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "nsa_core/attention.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/routes/cuda_step.hpp"

namespace {

using namespace nsa::core;

constexpr int kWarmup = 50;
constexpr int kSamples = 400;

void check(cudaError_t error) {
    TORCH_CHECK(error == cudaSuccess, cudaGetErrorString(error));
}

void fill(const NsaConfig& c, std::int64_t length, DecodeCache& cache) {
    const at::TensorOptions to = cache.raw().k.storage().options();
    const auto rows = [&](std::int64_t width) { return at::randn({1, c.groups, length, width}, to); };
    const at::Tensor k = rows(c.dk);
    const at::Tensor v = rows(c.dv);
    cache.raw().append(k, v);
    cache.sel().append(rows(c.dk), rows(c.dv));
    cache.win().append(rows(c.dk), rows(c.dv));
    cache.cmp().append(compress_mean(k, c), compress_mean(v, c));
}

class Clock {
  public:
    Clock() {
        check(cudaEventCreate(&begin_));
        check(cudaEventCreate(&end_));
    }
    ~Clock() {
        (void)cudaEventDestroy(begin_);
        (void)cudaEventDestroy(end_);
    }
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;

    /// Microseconds of `count` calls of `work` on the current stream, each.
    template <class Work>
    double time(int count, const Work& work) {
        const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
        check(cudaEventRecord(begin_, stream));
        for (int i = 0; i < count; ++i)
            work();
        check(cudaEventRecord(end_, stream));
        check(cudaEventSynchronize(end_));
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin_, end_));
        return 1000.0 * ms / count;
    }

  private:
    cudaEvent_t begin_ = nullptr;
    cudaEvent_t end_ = nullptr;
};

struct Spread {
    double low, median, high;  // 10th, 50th and 90th percentile
};

template <class Sample>
Spread spread(int samples, const Sample& sample) {
    std::vector<double> values;
    for (int i = 0; i < samples; ++i)
        values.push_back(sample());
    std::sort(values.begin(), values.end());
    const auto at = [&](int percent) {
        return values[values.size() * static_cast<std::size_t>(percent) / 100];
    };
    return {at(10), at(50), at(90)};
}

// Steps at position `length` again and again.
void time_length(const NSAAttention& module, std::int64_t length, cuda::StepTeam team) {
    DecodeCache cache = module.make_cache(1, length + 1);
    fill(module.config(), length, cache);
    CudaStepOptions options{.team = team, .graph = true, .advance = false};
    CudaStep step{module, cache, length + 1, options};
    const auto replay = [&] { (void)step.step(step.input()); };
    Clock clock;
    for (int i = 0; i < kWarmup; ++i)
        replay();
    const Spread single = spread(kSamples, [&] { return clock.time(1, replay); });
    const Spread row = spread(20, [&] { return clock.time(200, replay); });
    const bool emits =
        compressed_count(length + 1, module.config()) > compressed_count(length, module.config());
    std::printf("%s,%ld,%d,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f\n", step.team_text().c_str(),
                static_cast<long>(length + 1), emits ? 1 : 0, single.median, single.low, single.high,
                row.median, row.low, row.high);

    options.clocks = true;
    CudaStep marked{module, cache, length + 1, options};
    for (int i = 0; i < kWarmup; ++i)
        (void)marked.step(marked.input());
    const at::Tensor clocks = marked.clocks().to(at::kCPU);
    std::printf("#   clocks:");
    for (std::int64_t i = 1; i < clocks.size(0); ++i)
        std::printf(" %ld",
                    static_cast<long>(clocks[i].item<std::int64_t>() - clocks[i - 1].item<std::int64_t>()));
    std::printf(" total %ld\n", static_cast<long>((clocks[-1] - clocks[0]).item<std::int64_t>()));
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::int64_t> lengths;
    for (int i = 1; i < argc; ++i)
        lengths.push_back(std::atol(argv[i]));
    if (lengths.empty()) lengths = {512, 1024, 2048, 4096, 8192};
    // The stream that graphs are replayed on; the legacy default stream would add its own synchronisation.
    c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool());
    const NSAAttention module{NsaConfig{}, at::TensorOptions{at::kCUDA}.dtype(at::kFloat), /*seed=*/5};
    std::printf("team,S,emits,single_us,p10,p90,back_to_back_us,p10,p90\n");
    for (const cuda::StepTeam team :
         {cuda::StepTeam::kCluster16, cuda::StepTeam::kCluster8, cuda::StepTeam::kGrid}) {
        for (const std::int64_t length : lengths) {
            try {
                time_length(module, length - 1, team);
                time_length(module, length - 2, team);
            } catch (const InputError& error) {
                std::printf("# team %d, S = %ld: %s\n", static_cast<int>(team), static_cast<long>(length),
                            error.what());
            }
        }
    }
    return 0;
}
