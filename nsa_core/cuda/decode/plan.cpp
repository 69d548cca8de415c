#include "nsa_core/cuda/decode/plan.hpp"

#include <algorithm>

namespace nsa::core::cuda {
namespace {

constexpr int kSm90 = 90;              // clusters and dependent launch
constexpr int kBlocksPerSm = 2;        // thread blocks that fit at d = 128: shared memory decides
constexpr int kWaves = 4;              // with several waves a short sequence does not leave its SM idle
constexpr std::size_t kAlignment = 256;

int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

std::size_t aligned(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// One wave over the device when the batch is small: each thread block then has its bytes in flight at once.
// Otherwise a few waves. Never so fine that a warp has less than one chunk.
int splits_for(const DecodeShape& shape, const DeviceLimits& device) {
    const int pairs = shape.batch * shape.groups;
    const int chunks = divide_up(std::max(shape.max_compressed(), 1), kChunkRows);
    const int finest = divide_up(chunks, kDecodeWarps);
    const int one_wave = device.multiprocessors / pairs;
    if (one_wave >= 1) return std::clamp(one_wave, 1, finest);
    const int slots = kWaves * kBlocksPerSm * device.multiprocessors;
    return std::clamp(divide_up(slots, pairs), 1, finest);
}

int cluster_for(const DecodeShape& shape, const DeviceLimits& device) {
    if (device.sm < kSm90) return 1;
    const int pairs = shape.batch * shape.groups;
    int cluster = kMaxCluster;
    while (cluster > 1 && pairs * cluster > kWaves * kBlocksPerSm * device.multiprocessors)
        cluster /= 2;
    return cluster;
}

}  // namespace

DecodePlan plan_decode(const DecodeShape& shape, const DeviceLimits& device) {
    return {.splits = splits_for(shape, device),
            .cluster = cluster_for(shape, device),
            .dependent_launch = device.sm >= kSm90};
}

DecodeWorkspace layout_workspace(const DecodeShape& shape, const DecodePlan& plan) {
    const auto heads = static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.heads);
    const std::size_t partials = heads * static_cast<std::size_t>(plan.splits);
    DecodeWorkspace workspace;
    workspace.max = aligned(partials * static_cast<std::size_t>(shape.dv) * sizeof(float));
    workspace.sum = workspace.max + aligned(partials * sizeof(float));
    workspace.importance = workspace.sum + aligned(partials * sizeof(float));
    workspace.bytes =
        workspace.importance + aligned(heads * static_cast<std::size_t>(shape.max_blocks()) * sizeof(float));
    return workspace;
}

}  // namespace nsa::core::cuda
