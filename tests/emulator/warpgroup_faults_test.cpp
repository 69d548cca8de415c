// What the emulator finds in kernels that use the instructions of a warpgroup wrongly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "emulator/global_memory.hpp"
#include "emulator/launch.hpp"
#include "nsa_core/cuda/prefill/boxes.cuh"

namespace nsa::core::cuda {
namespace {

using namespace emulator;
using testing::HasSubstr;

constexpr int kTile = BoxLayout<64>::bytes(64);

// What is left out of, or added to, a right kernel.
struct Fault {
    bool block_barrier = true;
    bool proxy_fence = true;
    bool proxy_fence_by_writer = false;
    bool fence = true;
    bool wait = true;
    bool overwrite_early = false;
    bool add_early = false;
    bool one_warp_differs = false;
    std::uint32_t tile_offset = 0;
};

// out[thread] = an element of A · Aᵀ, A [64, 64] of ones: 64.
void multiply(const __half* ones, float* out, const Fault& fault) {
    char* const shared = dynamic_shared<char>() + fault.tile_offset;
    const std::uint32_t tile = shared_address(shared);
    copy_boxes<__half, 64, 64, kWarpgroupThreads>(tile, static_cast<int>(threadIdx.x),
                                                  [&](int row) { return ones + row * 64; });
    commit_copies();
    wait_copies<0>();
    if (fault.proxy_fence_by_writer) fence_async_proxy();
    if (fault.block_barrier) __syncthreads();
    if (fault.proxy_fence) fence_async_proxy();
    float c[8][4] = {};
    if (fault.fence) warpgroup_fence(c);
    const bool differs = fault.one_warp_differs && warp_index() == 2;
    warpgroup_rows<__half>(c, left_operand<64, 64>(tile), right_operand<64, 64>(tile), !differs);
    warpgroup_commit();
    if (fault.overwrite_early && threadIdx.x == 127) *reinterpret_cast<__half*>(shared + 8190) = __half{};
    if (fault.add_early) c[3][1] = 0;
    if (fault.wait) warpgroup_wait<0>(c);
    out[threadIdx.x] = c[7][3];
    warpgroup_wait<0>(c);
}

// "none", a fault, or "another result", of the first schedule that does not give "none".
std::string outcome_of(const Fault& fault, unsigned threads = kWarpgroupThreads) {
    for (const std::uint64_t seed : {0, 1, 2, 3, 4, 5}) {
        Buffer<__half> ones{std::vector<__half>(64 * 64, Half<__half>::from_float(1))};
        Buffer<float> out{kWarpgroupThreads};
        try {
            launch({.block = {threads, 1, 1}, .shared_bytes = kTile + 1024, .seed = seed, .name = "k"},
                   [&] { multiply(ones.data(), out.data(), fault); });
        } catch (const KernelFault& found) {
            return found.what();
        }
        if (!std::ranges::all_of(out.values(), [](float x) { return x == 64; })) return "another result";
    }
    return "none";
}

TEST(WarpgroupFaults, a_right_kernel_has_none) {
    EXPECT_EQ(outcome_of({}), "none");
    EXPECT_EQ(outcome_of({.proxy_fence = false, .proxy_fence_by_writer = true}), "none");
}

TEST(WarpgroupFaults, a_missing_wait_shows_in_the_result) {
    EXPECT_EQ(outcome_of({.wait = false}), "another result");
}

TEST(WarpgroupFaults, operands_written_under_a_product_are_found) {
    EXPECT_THAT(outcome_of({.overwrite_early = true}), HasSubstr("operands of a wgmma were written"));
}

TEST(WarpgroupFaults, accumulators_written_under_a_product_are_found) {
    EXPECT_THAT(outcome_of({.add_early = true}), HasSubstr("accumulators of a wgmma were written"));
}

TEST(WarpgroupFaults, missing_fences_are_found) {
    EXPECT_THAT(outcome_of({.proxy_fence = false}), HasSubstr("without fence_async_proxy()"));
    EXPECT_THAT(outcome_of({.fence = false}), HasSubstr("without a warpgroup_fence()"));
}

TEST(WarpgroupFaults, a_missing_barrier_behind_the_copies_is_found) {
    EXPECT_NE(outcome_of({.block_barrier = false}), "none");
}

TEST(WarpgroupFaults, warps_that_issue_different_products_are_found) {
    EXPECT_THAT(outcome_of({.one_warp_differs = true}), HasSubstr("differs from that of another warp"));
    EXPECT_THAT(outcome_of({}, 96), HasSubstr("fewer than 4 warps"));
}

TEST(WarpgroupFaults, tiles_that_do_not_begin_with_a_pattern_are_found) {
    EXPECT_THAT(outcome_of({.tile_offset = 128}), HasSubstr("do not begin at multiples of 1024"));
}

std::string named_barriers(const std::function<void(int* value, int* seen)>& kernel) {
    for (const std::uint64_t seed : {0, 1, 2, 3}) {
        int value = 0;
        int seen = 0;
        try {
            launch({.block = {96, 1, 1}, .seed = seed, .name = "k"}, [&] { kernel(&value, &seen); });
        } catch (const KernelFault& fault) {
            return fault.what();
        }
        if (seen != 7) return "another result";
    }
    return "none";
}

TEST(NamedBarriers, those_who_wait_see_what_those_who_arrive_did_before) {
    const auto kernel = [](int id_of_waiting, int threads) {
        return [=](int* value, int* seen) {
            if (warp_index() == 2) {
                if (lane_index() == 0) *value = 7;
                emulator::named_barrier(1, 64, /*waits=*/false);
            } else if (warp_index() == 1) {
                group_sync(id_of_waiting, threads);
                *seen = *value;
            }
        };
    };
    EXPECT_EQ(named_barriers(kernel(1, 64)), "none");
    EXPECT_THAT(named_barriers(kernel(2, 64)), HasSubstr("32 threads wait for one another"));
    EXPECT_THAT(named_barriers(kernel(1, 96)), HasSubstr("for those who are there"));
    EXPECT_THAT(named_barriers(kernel(16, 64)), HasSubstr("barrier 16"));
}

}  // namespace
}  // namespace nsa::core::cuda
