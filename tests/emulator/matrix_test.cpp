// The matrix instructions against plain loops.
#include <gtest/gtest.h>

#include <random>

#include "emulator/global_memory.hpp"
#include "emulator/launch.hpp"
#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {
namespace {

using namespace emulator;

template <class T>
std::vector<T> random_values(std::size_t count) {
    std::mt19937 draw{5};
    std::vector<T> values(count);
    for (T& value : values)
        value = Half<T>::from_float(static_cast<float>(static_cast<int>(draw() % 17) - 8) / 4);
    return values;
}

template <class T>
class Matrix : public testing::Test {};
using HalfTypes = testing::Types<__nv_bfloat16, __half>;
TYPED_TEST_SUITE(Matrix, HalfTypes);

// A [16,16] and B [8,16] by rows, both through ldmatrix; values are such that fp32 sums are exact.
TYPED_TEST(Matrix, product_of_loaded_matrices_equals_the_loops) {
    using T = TypeParam;
    Buffer<T> a{random_values<T>(16 * 16)};
    Buffer<T> b{random_values<T>(16 * 8)};
    Buffer<float> c{16 * 8};
    constexpr int kRow = 16 + 8;  // elements of a padded row
    const Counters counters = launch({.shared_bytes = 24 * kRow * sizeof(T), .seed = 3}, [&] {
        T* shared = dynamic_shared<T>();
        const int lane = lane_index();
        for (int i = lane; i < 16 * 16; i += 32)
            shared[i / 16 * kRow + i % 16] = a[static_cast<std::size_t>(i)];
        for (int i = lane; i < 8 * 16; i += 32)
            shared[(16 + i / 16) * kRow + i % 16] = b[static_cast<std::size_t>(i)];
        __syncwarp();
        std::uint32_t left[4];
        std::uint32_t right[4];
        load_matrices(left, shared_address(shared + (lane % 16) * kRow + lane / 16 * 8));
        load_matrices(right, shared_address(shared + (16 + lane % 8) * kRow + lane / 8 % 2 * 8));
        float sum[4] = {1, 1, 1, 1};
        mma<T>(sum, left, right[0], right[1]);
        for (int i = 0; i < 4; ++i)
            c[static_cast<std::size_t>((lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2)] = sum[i];
    });
    for (std::size_t row = 0; row < 16; ++row)
        for (std::size_t column = 0; column < 8; ++column) {
            float sum = 1;
            for (std::size_t k = 0; k < 16; ++k)
                sum += Half<T>::to_float(a[row * 16 + k]) * Half<T>::to_float(b[column * 16 + k]);
            EXPECT_EQ(c[row * 8 + column], sum) << row << ", " << column;
        }
    EXPECT_EQ(counters.mma, 1U);
    EXPECT_EQ(counters.ldmatrix, 2U);
    EXPECT_EQ(counters.ldmatrix_conflicts, 0U);
}

TEST(MatrixLoad, transposed_matrices_are_the_columns) {
    Buffer<std::uint32_t> plain{32};
    Buffer<std::uint32_t> transposed{32};
    const Counters counters = launch({.shared_bytes = 8 * 128}, [&] {
        auto* shared = dynamic_shared<std::uint16_t>();
        const int lane = lane_index();
        for (int i = lane; i < 64; i += 32)
            shared[i / 8 * 64 + i % 8] = static_cast<std::uint16_t>(i);
        __syncwarp();
        std::uint32_t r[4];
        load_matrices(r, shared_address(shared + lane % 8 * 64));
        plain[static_cast<std::size_t>(lane)] = r[2];
        load_matrices_transposed(r, shared_address(shared + lane % 8 * 64));
        transposed[static_cast<std::size_t>(lane)] = r[3];
    });
    for (std::size_t lane = 0; lane < 32; ++lane) {
        const auto row = static_cast<std::uint32_t>(lane / 4);
        const auto column = static_cast<std::uint32_t>(lane % 4 * 2);
        EXPECT_EQ(plain[lane], (row * 8 + column) | (row * 8 + column + 1) << 16);
        EXPECT_EQ(transposed[lane], (column * 8 + row) | ((column + 1) * 8 + row) << 16);
    }
    // Rows of 128 bytes lie in the same banks: 7 passes more for each of 4 matrices, twice.
    EXPECT_EQ(counters.ldmatrix_conflicts, 56U);
}

}  // namespace
}  // namespace nsa::core::cuda
