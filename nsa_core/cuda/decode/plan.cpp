#include "nsa_core/cuda/decode/plan.hpp"

#include <algorithm>

namespace nsa::core::cuda {
namespace {

constexpr int kSm90 = 90;        // clusters and dependent launch
constexpr int kBlocksPerSm = 2;  // thread blocks that fit at d = 128: shared memory decides
constexpr int kWarpThreads = 32;
constexpr std::size_t kAlignment = 256;

int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

std::size_t aligned(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// One wave of resident thread blocks. Never so fine that a warp has less than a chunk, nor that the results
// cost more to merge than the bytes to read.
int splits_for(const DecodeShape& shape, const DeviceLimits& device) {
    constexpr int kMost = 16;
    const int chunks = divide_up(std::max(shape.max_compressed(), 1), kChunkRows);
    const int finest = std::min(divide_up(chunks, kDecodeWarps), kMost);
    return std::clamp(kBlocksPerSm * device.multiprocessors / (shape.batch * shape.groups), 1, finest);
}

// As many thread blocks as are resident at a time. Their candidates for the n selected blocks are ranked in
// one go, a thread each.
int cluster_for(const DecodeShape& shape, const DeviceLimits& device) {
    if (device.sm < kSm90) return 1;
    const int pairs = shape.batch * shape.groups;
    int cluster = kMaxCluster;
    while (cluster > 1 && (pairs * cluster > kBlocksPerSm * device.multiprocessors ||
                           cluster * shape.n > kDecodeWarps * kWarpThreads)) {
        cluster /= 2;
    }
    return cluster;
}

}  // namespace

DecodePlan plan_decode(const DecodeShape& shape, const DeviceLimits& device) {
    return {.splits = splits_for(shape, device),
            .cluster = cluster_for(shape, device),
            .dependent_launch = device.sm >= kSm90};
}

int workspace_blocks(const DecodeShape& shape) {
    constexpr int kBlocksPerChunk = kChunkRows / kTokensPerBlock;
    return divide_up(shape.max_blocks(), kBlocksPerChunk) * kBlocksPerChunk;
}

DecodeWorkspace layout_workspace(const DecodeShape& shape, const DecodePlan& plan) {
    const auto heads = static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.heads);
    const std::size_t partials = heads * static_cast<std::size_t>(plan.splits);
    DecodeWorkspace workspace;
    workspace.max = aligned(partials * static_cast<std::size_t>(shape.dv) * sizeof(float));
    workspace.sum = workspace.max + aligned(partials * sizeof(float));
    const std::size_t blocks =
        aligned(heads * static_cast<std::size_t>(workspace_blocks(shape)) * sizeof(float));
    workspace.own = workspace.sum + aligned(partials * sizeof(float));
    workspace.last = workspace.own + blocks;
    workspace.bytes = workspace.last + blocks;
    return workspace;
}

}  // namespace nsa::core::cuda
