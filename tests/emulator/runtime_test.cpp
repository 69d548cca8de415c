// Launches through the calls of the CUDA runtime: queued, checked as a device would, run in order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/global_memory.hpp"
#include "emulator/runtime.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

using emulator::Buffer;
using emulator::finish;
using emulator::Finished;

__global__ void double_all(float* values, int* reached) {
    wait_for_previous_kernel();
    values[blockIdx.x * blockDim.x + threadIdx.x] *= 2;
    if (threadIdx.x == 0) atomicAdd(reached, 1);
}

__global__ void count_ranks(int* ranks) {
    atomicAdd(ranks + cluster_rank(), 1);
}

namespace {

struct Configured {
    cudaLaunchConfig_t config{};
    cudaLaunchAttribute attributes[1]{};

    explicit Configured(unsigned blocks, unsigned threads) {
        config.gridDim = dim3(blocks);
        config.blockDim = dim3(threads);
        config.attrs = attributes;
    }
    void in_clusters_of(unsigned size) {
        attributes[0].id = cudaLaunchAttributeClusterDimension;
        attributes[0].val.clusterDim = {size, 1, 1};
        config.numAttrs = 1;
    }
    void beside_the_previous() {
        attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[0].val.programmaticStreamSerializationAllowed = 1;
        config.numAttrs = 1;
    }
};

TEST(Runtime, launches_run_in_order_when_they_are_finished) {
    for (const std::uint64_t seed : {0, 1, 2}) {
        Buffer<float> values{std::vector<float>(64, 1)};
        Buffer<int> reached{std::vector<int>{0}};
        Configured first{2, 32};
        Configured second{2, 32};
        second.beside_the_previous();
        EXPECT_EQ(cudaLaunchKernelEx(&first.config, double_all, values.data(), reached.data()), cudaSuccess);
        EXPECT_EQ(cudaLaunchKernelEx(&second.config, double_all, values.data(), reached.data()), cudaSuccess);
        EXPECT_EQ(cudaLaunchKernelEx(&second.config, double_all, values.data(), reached.data()), cudaSuccess);
        EXPECT_EQ(reached[0], 0);
        const std::vector<Finished> done = finish(seed);
        ASSERT_EQ(done.size(), 3U);
        EXPECT_THAT(done[0].kernel, testing::HasSubstr("double_all"));
        EXPECT_EQ(done[2].counters.blocks, 2U);
        EXPECT_EQ(reached[0], 6);
        for (const float value : values.values())
            EXPECT_EQ(value, 8);
        EXPECT_TRUE(finish(seed).empty());
    }
}

TEST(Runtime, shared_memory_beyond_the_limit_of_the_kernel_is_refused) {
    Buffer<float> values{32};
    Buffer<int> reached{1};
    Configured launch{1, 32};
    const auto launched_with = [&](std::size_t bytes) {
        launch.config.dynamicSmemBytes = bytes;
        return cudaLaunchKernelEx(&launch.config, double_all, values.data(), reached.data());
    };
    EXPECT_EQ(launched_with(49 * 1024), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(double_all, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 * 1024),
              cudaSuccess);
    EXPECT_EQ(launched_with(64 * 1024), cudaSuccess);
    EXPECT_EQ(launched_with(65 * 1024), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(double_all, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024),
              cudaErrorInvalidValue);
    EXPECT_EQ(finish().size(), 1U);
}

TEST(Runtime, clusters_of_more_than_eight_need_leave) {
    Buffer<int> ranks{std::vector<int>(16, 0)};
    Configured launch{32, 32};
    launch.in_clusters_of(16);
    EXPECT_EQ(cudaLaunchKernelEx(&launch.config, count_ranks, ranks.data()), cudaErrorInvalidClusterSize);
    EXPECT_EQ(cudaFuncSetAttribute(count_ranks, cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
              cudaSuccess);
    EXPECT_EQ(cudaLaunchKernelEx(&launch.config, count_ranks, ranks.data()), cudaSuccess);
    EXPECT_EQ(finish(3).front().launch.cluster, 16U);
    for (const int count : ranks.values())
        EXPECT_EQ(count, 64);
}

}  // namespace
}  // namespace nsa::core::cuda
