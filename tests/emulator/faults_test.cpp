// Planted faults: what a kernel must not do ends its launch with a message, or shows in some order of
// threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "emulator/global_memory.hpp"
#include "emulator/launch.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {
namespace {

using namespace emulator;
using testing::HasSubstr;

std::string fault_of(const Launch& launched, const std::function<void()>& kernel) {
    try {
        launch(launched, kernel);
    } catch (const KernelFault& fault) {
        return fault.what();
    }
    return "none";
}

// Whether any of a few schedules makes the value that the kernel leaves other than `right`.
bool any_schedule_differs(Launch launched, const std::function<void(float*)>& kernel, float right) {
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
        Buffer<float> out{1};
        launched.seed = seed;
        launch(launched, [&] { kernel(out.data()); });
        if (!(out[0] == right)) return true;
    }
    return false;
}

const Launch kTwoWarps{.block = {64, 1, 1}, .shared_bytes = 256, .name = "k"};

void pass_on(float* out, bool barrier) {
    float* shared = dynamic_shared<float>();
    shared[threadIdx.x] = static_cast<float>(threadIdx.x);
    if (barrier) __syncthreads();
    if (threadIdx.x == 5) *out = shared[40];
}

TEST(Faults, a_missing_block_barrier_shows) {
    EXPECT_FALSE(any_schedule_differs(
        kTwoWarps, [](float* out) { pass_on(out, true); }, 40));
    EXPECT_TRUE(any_schedule_differs(
        kTwoWarps, [](float* out) { pass_on(out, false); }, 40));
}

void reuse(float* out, bool barrier) {
    float* shared = dynamic_shared<float>();
    if (threadIdx.x == 0) shared[0] = 1;
    __syncthreads();
    const float read = shared[0];
    if (threadIdx.x == 63) *out = read;
    if (barrier) __syncthreads();
    if (threadIdx.x == 0) shared[0] = 2;  // may overtake the other warp's load
}

TEST(Faults, a_missing_barrier_before_reuse_shows) {
    EXPECT_FALSE(any_schedule_differs(
        kTwoWarps, [](float* out) { reuse(out, true); }, 1));
    EXPECT_TRUE(any_schedule_differs(
        kTwoWarps, [](float* out) { reuse(out, false); }, 1));
}

void copy_and_read(float* out, const float* from, bool waits, bool syncs) {
    float* shared = dynamic_shared<float>();
    copy_async(shared_address(shared + lane_index() * 4), from + lane_index() * 4);
    commit_copies();
    if (waits) wait_copies<0>();
    if (syncs) __syncwarp();
    const float read = shared[(lane_index() * 4 + 4) % 128];
    if (lane_index() == 7) *out = read;
    wait_copies<0>();
}

TEST(Faults, a_missing_wait_and_a_missing_warp_barrier_behind_it_show) {
    Buffer<float> from{std::vector<float>(128, 3)};
    const Launch launched{.shared_bytes = 512};
    const auto differs = [&](bool waits, bool syncs) {
        return any_schedule_differs(
            launched, [&](float* out) { copy_and_read(out, from.data(), waits, syncs); }, 3);
    };
    EXPECT_FALSE(differs(true, true));
    EXPECT_TRUE(differs(false, true));
    EXPECT_TRUE(differs(true, false));
}

TEST(Faults, matrices_that_another_lane_copied_need_a_barrier_behind_its_wait) {
    Buffer<float> from{std::vector<float>(128, 3)};
    const auto fault = [&](bool syncs) {
        return fault_of({.shared_bytes = 512}, [&] {
            float* shared = dynamic_shared<float>();
            copy_async(shared_address(shared + lane_index() * 4), from.data() + lane_index() * 4);
            commit_copies();
            wait_copies<0>();
            if (syncs) __syncwarp();
            std::uint32_t r[4];
            load_matrices(r, shared_address(shared + lane_index() * 4));
        });
    };
    EXPECT_EQ(fault(true), "none");
    EXPECT_THAT(fault(false), HasSubstr("ldmatrix of what lane 0 copied, without a barrier behind its wait"));
}

TEST(Faults, a_divergent_shuffle_is_named) {
    const std::string fault = fault_of(kTwoWarps, [] {
        if (threadIdx.x >= 32 && lane_index() == 3) return;
        (void)__shfl_xor_sync(~0U, 1, 1);
    });
    EXPECT_THAT(fault,
                HasSubstr("kernel k, thread block (0, 0, 0), warp 1, lane 3: ended while lanes 0, 1, 2 "
                          "wait for it at a shuffle"));
}

TEST(Faults, lanes_at_different_collectives_are_named) {
    const std::string fault = fault_of(kTwoWarps, [] {
        if (lane_index() == 2) {
            __syncwarp();
        } else {
            (void)__any_sync(~0U, 1);
        }
    });
    EXPECT_THAT(fault, HasSubstr("warp 0, lane 2: __syncwarp while lanes 0, 1 wait at a vote"));
}

TEST(Faults, a_mask_that_lacks_the_lane_is_named) {
    EXPECT_THAT(fault_of(kTwoWarps, [] { __syncwarp(0xFFFFU); }),
                HasSubstr("lane 16: __syncwarp with a mask"));
}

TEST(Faults, a_barrier_that_some_threads_never_reach_ends) {
    const std::string fault = fault_of(kTwoWarps, [] {
        if (threadIdx.x < 32) {
            __syncthreads();
        } else {
            (void)__syncthreads_or(1);
        }
    });
    EXPECT_THAT(fault, HasSubstr("wait at __syncthreads"));
    const std::string lane = fault_of(kTwoWarps, [] {
        if (threadIdx.x == 9) {
            __syncthreads();
        }
        __syncwarp();
    });
    EXPECT_THAT(lane, HasSubstr("32 threads wait for one another"));
}

TEST(Faults, a_write_behind_shared_memory_is_found) {
    EXPECT_THAT(fault_of(kTwoWarps, [] { dynamic_shared<float>()[threadIdx.x + 1] = 0; }),
                HasSubstr("shared memory was written outside the 256 bytes"));
}

TEST(Faults, a_copy_or_matrix_row_outside_shared_memory_is_found) {
    Buffer<float> from{std::vector<float>(8, 0)};
    EXPECT_THAT(fault_of({.block = {1, 1, 1}, .shared_bytes = 64},
                         [&] { copy_async(shared_address(dynamic_shared<char>()) + 56, from.data()); }),
                HasSubstr("bytes 56 to 72 of shared memory, which has 64"));
    EXPECT_THAT(fault_of({.shared_bytes = 512},
                         [] {
                             std::uint32_t r[4];
                             load_matrices(r, shared_address(dynamic_shared<char>()) + 8);
                         }),
                HasSubstr("16 bytes at offset 8"));
}

TEST(Faults, a_copy_from_behind_a_buffer_is_found) {
    Buffer<float> from{std::vector<float>(4, 0)};
    EXPECT_THAT(fault_of({.block = {1, 1, 1}, .shared_bytes = 64},
                         [&] { copy_async(shared_address(dynamic_shared<char>()), from.data() + 4); }),
                HasSubstr("global memory read at byte 16 of a buffer of 16"));
}

TEST(Faults, copies_that_are_never_waited_for_are_found) {
    Buffer<float> from{std::vector<float>(4, 0)};
    EXPECT_THAT(fault_of({.block = {1, 1, 1}, .shared_bytes = 64},
                         [&] { copy_async(shared_address(dynamic_shared<char>()), from.data()); }),
                HasSubstr("1 asynchronous copies under way"));
}

TEST(Faults, a_neighbour_that_may_not_have_started_or_has_ended_is_not_touched) {
    const Launch pair{.grid = {2, 1, 1}, .cluster = 2, .shared_bytes = 64, .seed = 1};
    EXPECT_THAT(fault_of(pair, [] { *cluster_map(dynamic_shared<int>(), 1 - cluster_rank()) = 1; }),
                HasSubstr("before any cluster barrier"));
    EXPECT_THAT(fault_of(pair,
                         [] {
                             cluster_sync();
                             if (cluster_rank() == 0) return;
                             *cluster_map(dynamic_shared<int>(), 0) = 1;
                         }),
                HasSubstr("which has ended"));
}

TEST(Faults, a_loop_that_waits_for_nothing_ends) {
    Buffer<unsigned> flag{std::vector<unsigned>{0}};
    EXPECT_THAT(fault_of(kTwoWarps,
                         [&] {
                             while (load_acquire(flag.data()) == 0) {
                             }
                         }),
                HasSubstr("64 threads wait for one another"));
}

TEST(Faults, a_launch_that_no_device_takes_is_refused) {
    EXPECT_THAT(fault_of({.grid = {3, 1, 1}, .cluster = 2}, [] {}),
                HasSubstr("a grid of 3 in clusters of 2"));
    EXPECT_THAT(fault_of({.shared_bytes = 300000}, [] {}), HasSubstr("300000 bytes of shared memory"));
}

TEST(FaultsDeathTest, memory_that_is_not_there_ends_the_process_with_the_place) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    volatile std::uintptr_t nowhere = 16;
    const auto write = [&] {
        if (threadIdx.x == 35) *reinterpret_cast<int*>(nowhere) = 1;
    };
    EXPECT_DEATH(launch(kTwoWarps, write), "warp 1, lane 3: memory that is not there");
    const auto large = [] {
        volatile char array[1 << 20];
        array[0] = static_cast<char>(threadIdx.x);
        (void)array[0];
    };
    EXPECT_DEATH(launch(kTwoWarps, large), "its stack is used up");
}

TEST(DependentLaunch, reads_before_the_wait_do_not_see_the_kernel_ahead) {
    Buffer<float> made{std::vector<float>{0}};
    Buffer<float> seen{2};
    launch(
        {.block = {1, 1, 1}},
        [&] {
            seen[0] = made[0];
            wait_for_previous_kernel();
            seen[1] = made[0];
        },
        [&] {
            launch({.block = {1, 1, 1}}, [&] { made[0] = 1; });
        });
    EXPECT_EQ(seen[0], 0);
    EXPECT_EQ(seen[1], 1);
}

}  // namespace
}  // namespace nsa::core::cuda
