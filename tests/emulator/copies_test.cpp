// Asynchronous copies land in the wait that covers their group, and not before.
#include <gtest/gtest.h>

#include <cmath>

#include "emulator/global_memory.hpp"
#include "emulator/launch.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {
namespace {

using namespace emulator;

TEST(Copies, land_in_the_wait_that_covers_their_group) {
    Buffer<float> from{std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}};
    const Counters counters = launch({.block = {1, 1, 1}, .shared_bytes = 48}, [&] {
        float* shared = dynamic_shared<float>();
        shared[0] = shared[4] = shared[8] = 9;
        copy_async(shared_address(shared), from.data());
        commit_copies();
        copy_async_or_zeros(shared_address(shared + 4), from.data() + 4, false, read_once_policy());
        commit_copies();
        copy_word_async(shared_address(shared + 8), from.data() + 7);
        EXPECT_TRUE(std::isnan(shared[0]) && std::isnan(shared[4]) && std::isnan(shared[8]));
        wait_copies<1>();
        EXPECT_EQ(shared[3], 4);
        EXPECT_TRUE(std::isnan(shared[4]));
        wait_copies<0>();  // the last one is in no group yet
        EXPECT_EQ(shared[4], 0);
        EXPECT_EQ(shared[7], 0);
        EXPECT_TRUE(std::isnan(shared[8]));
        commit_copies();
        wait_copies<0>();
        EXPECT_EQ(shared[8], 8);
    });
    EXPECT_EQ(counters.copies, 3U);
    EXPECT_EQ(counters.copied_bytes, 20U);
}

TEST(Memory, is_nan_until_it_is_written) {
    Buffer<float> out{4};
    EXPECT_TRUE(std::isnan(out[0]));
    launch({.grid = {2, 1, 1}, .block = {1, 1, 1}, .shared_bytes = 8}, [&] {
        float* shared = dynamic_shared<float>();
        out[blockIdx.x * 2] = shared[1];
        shared[1] = 1;
        out[blockIdx.x * 2 + 1] = shared[1];
    });
    EXPECT_TRUE(std::isnan(out[0]));
    EXPECT_EQ(out[1], 1);
    EXPECT_TRUE(std::isnan(out[2]));  // not what the first thread block left
    EXPECT_EQ(out[3], 1);
}

TEST(Memory, guards_say_whether_a_buffer_was_written_beside_its_ends) {
    for (const int at : {-1, 4}) {
        Buffer<int> out{4};
        launch({.block = {1, 1, 1}}, [&] { out.data()[at] = 1; });
        EXPECT_FALSE(out.intact());
    }
}

}  // namespace
}  // namespace nsa::core::cuda
