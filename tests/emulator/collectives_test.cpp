// Shuffles, votes, barriers, atomics and clusters against plain loops, in several orders of threads.
#include <gtest/gtest.h>

#include <numeric>

#include "emulator/global_memory.hpp"
#include "emulator/launch.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {
namespace {

using namespace emulator;

class Collectives : public testing::TestWithParam<std::uint64_t> {
  protected:
    Launch with(unsigned blocks, unsigned threads, std::size_t shared_bytes = 0) const {
        return {.grid = {blocks, 1, 1},
                .block = {threads, 1, 1},
                .shared_bytes = shared_bytes,
                .seed = GetParam()};
    }
};
INSTANTIATE_TEST_SUITE_P(Schedules, Collectives, testing::Values(0, 1, 2, 3, 4));

TEST_P(Collectives, a_shuffle_takes_the_value_of_the_named_lane) {
    Buffer<int> out{64 * 6};
    launch(with(1, 64), [&] {
        const int thread = static_cast<int>(threadIdx.x);
        int* mine = out.data() + thread * 6;
        mine[0] = __shfl_sync(~0U, thread, 5);
        mine[1] = __shfl_sync(~0U, thread, 9, 8);
        mine[2] = __shfl_xor_sync(~0U, thread, 3);
        mine[3] = __shfl_up_sync(~0U, thread, 2);
        mine[4] = __shfl_down_sync(~0U, thread, 3, 16);
        mine[5] = thread % 32 < 16 ? __shfl_xor_sync(0xFFFFU, thread, 1) : -1;
    });
    for (int thread = 0; thread < 64; ++thread) {
        const int warp = thread / 32 * 32;
        const int lane = thread % 32;
        const int* mine = out.data() + thread * 6;
        EXPECT_EQ(mine[0], warp + 5);
        EXPECT_EQ(mine[1], warp + lane / 8 * 8 + 1);
        EXPECT_EQ(mine[2], warp + (lane ^ 3));
        EXPECT_EQ(mine[3], lane < 2 ? thread : thread - 2);
        EXPECT_EQ(mine[4], lane % 16 + 3 < 16 ? thread + 3 : thread);
        EXPECT_EQ(mine[5], lane < 16 ? thread ^ 1 : -1);
    }
}

TEST_P(Collectives, votes_and_reductions_see_all_lanes_of_the_mask) {
    Buffer<unsigned> out{32 * 5};
    launch(with(1, 32), [&] {
        const int lane = lane_index();
        unsigned* mine = out.data() + lane * 5;
        mine[0] = __ballot_sync(~0U, lane % 3 == 0);
        mine[1] = static_cast<unsigned>(__any_sync(~0U, lane == 31) * 2 + __all_sync(~0U, lane < 31));
        mine[2] = __reduce_max_sync(~0U, static_cast<unsigned>(lane * 7 % 32));
        mine[3] = __reduce_min_sync(~0U, static_cast<unsigned>(lane + 4));
        mine[4] = __reduce_add_sync(~0U, static_cast<unsigned>(lane));
    });
    for (int lane = 0; lane < 32; ++lane) {
        EXPECT_EQ(out[lane * 5], 0x49249249U);
        EXPECT_EQ(out[lane * 5 + 1], 2U);
        EXPECT_EQ(out[lane * 5 + 2], 31U);
        EXPECT_EQ(out[lane * 5 + 3], 4U);
        EXPECT_EQ(out[lane * 5 + 4], 496U);
    }
}

TEST_P(Collectives, what_was_written_before_a_barrier_is_read_behind_it) {
    Buffer<int> out{256};
    const Counters counters = launch(with(2, 128, 128 * sizeof(int)), [&] {
        int* shared = dynamic_shared<int>();
        const int thread = static_cast<int>(threadIdx.x);
        const int block = static_cast<int>(blockIdx.x);
        shared[thread] = 1000 * block + thread;
        __syncthreads();
        const int other = shared[(thread + 40) % 128];
        EXPECT_EQ(__syncthreads_count(other % 2 == 0), 64);
        out[static_cast<std::size_t>(block * 128 + thread)] = other;
    });
    for (int i = 0; i < 256; ++i)
        EXPECT_EQ(out[static_cast<std::size_t>(i)], i / 128 * 1000 + (i % 128 + 40) % 128);
    EXPECT_EQ(counters.blocks, 2U);
    EXPECT_EQ(counters.block_barriers, 4U);
    EXPECT_TRUE(out.intact());
}

TEST_P(Collectives, threads_that_have_ended_are_not_waited_for) {
    Buffer<int> out{std::vector<int>{0}};
    launch(with(1, 96), [&] {
        if (threadIdx.x >= 64) return;
        atomicAdd(out.data(), 1);
        __syncthreads();
        EXPECT_EQ(out[0], 64);
    });
    EXPECT_EQ(out[0], 64);
}

TEST_P(Collectives, atomics_lose_nothing) {
    Buffer<float> sum{std::vector<float>{0, 0}};
    Buffer<unsigned> ring{std::vector<unsigned>{0, 7}};
    launch(with(3, 64), [&] {
        atomicAdd(sum.data(), 0.5F);
        atomicAdd(reinterpret_cast<float2*>(sum.data()), float2{0.5F, 2.0F});
        atomicInc(ring.data(), 9U);
        atomicMax(ring.data() + 1, threadIdx.x);
    });
    EXPECT_EQ(sum[0], 192.0F);
    EXPECT_EQ(sum[1], 384.0F);
    EXPECT_EQ(ring[0], 2U);
    EXPECT_EQ(ring[1], 63U);
}

TEST_P(Collectives, thread_blocks_of_a_cluster_read_and_write_one_another) {
    Buffer<float> out{8 * 64};
    Launch launched = with(8, 64, 2 * 64 * sizeof(float));
    launched.cluster = 4;
    launch(launched, [&] {
        float* shared = dynamic_shared<float>();
        const int thread = static_cast<int>(threadIdx.x);
        cluster_arrive_relaxed();
        shared[thread] = static_cast<float>(cluster_rank() * 100 + thread);
        cluster_wait();
        const int next = (cluster_rank() + 1) % cluster_size();
        store_cluster(cluster_address(shared_address(shared + 64 + thread), next),
                      static_cast<float>(cluster_rank()));
        cluster_sync();
        out[blockIdx.x * 64 + threadIdx.x] = *cluster_map(shared + thread, next) * 10 + shared[64 + thread];
        cluster_arrive_relaxed();
        cluster_wait_relaxed();
    });
    for (int block = 0; block < 8; ++block)
        for (int thread = 0; thread < 64; ++thread) {
            const int rank = block % 4;
            EXPECT_EQ(out[static_cast<std::size_t>(block * 64 + thread)],
                      ((rank + 1) % 4 * 100 + thread) * 10 + (rank + 3) % 4);
        }
}

TEST_P(Collectives, thread_blocks_of_a_cooperative_launch_wait_for_one_another) {
    Buffer<unsigned> arrivals{std::vector<unsigned>{0}};
    Buffer<unsigned> seen{4 * 32};
    Launch launched = with(4, 32);
    launched.cooperative = true;
    launch(launched, [&] {
        if (threadIdx.x == 0) atomicAdd(arrivals.data(), 1U);
        while (load_acquire(arrivals.data()) < 4) {
        }
        seen[blockIdx.x * 32 + threadIdx.x] = arrivals[0];
    });
    for (const unsigned value : seen.values())
        EXPECT_EQ(value, 4U);
}

TEST(Launch, indices_cover_the_grid_and_the_block) {
    Buffer<int> hits{std::vector<int>(2 * 3 * 4 * 8 * 2 * 4, 0)};
    launch({.grid = {2, 3, 4}, .block = {8, 2, 4}, .seed = 7}, [&] {
        const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
        hits[block * 64 + thread] += 1;
    });
    for (const int count : hits.values())
        EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace nsa::core::cuda
