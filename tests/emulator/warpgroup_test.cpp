// The products of a warpgroup against plain loops, for every form of their operands. Built for a GPU as well
// (tests/gpu): there it proves descriptors and layouts.
#include <gtest/gtest.h>

#include <random>

#include "emulator/global_memory.hpp"
#include "emulator/runtime.hpp"
#include "nsa_core/cuda/prefill/boxes.cuh"
#include "nsa_core/cuda/prefill/launch.cuh"
#include "nsa_core/cuda/prefill/path.hpp"

namespace nsa::core::cuda {

enum class Left { kShared, kRegisters };

// Where a thread's accumulator i of tile n lies: c of the warpgroup is [64][8 kTiles].
template <int kTiles>
__device__ void store_sums(const float (&c)[kTiles][4], float* to) {
    const int row = warp_index() % 4 * 16 + lane_index() / 4;
    for (int n = 0; n < kTiles; ++n)
        for (int i = 0; i < 4; ++i)
            to[(row + i / 2 * 8) * kTiles * 8 + n * 8 + lane_index() % 4 * 2 + i % 2] = c[n][i];
}

template <int kTiles>
__device__ void fill(float (&c)[kTiles][4], float value) {
    for (auto& tile : c)
        for (float& x : tile)
            x = value;
}

// Tiles of A [kARows, kA] and B [kBRows, kB], copied and fenced.
template <class T, int kARows, int kA, int kBRows, int kB>
struct Tiles {
    static constexpr int kABytes = BoxLayout<kA>::bytes(kARows);
    static constexpr int kBytes = kABytes + BoxLayout<kB>::bytes(kBRows);
    std::uint32_t a;
    std::uint32_t b;

    __device__ Tiles(const T* from_a, const T* from_b)
        : a{shared_address(dynamic_shared<char>())}, b{a + kABytes} {
        const int thread = static_cast<int>(threadIdx.x);
        copy_boxes<T, kARows, kA, kWarpgroupThreads>(a, thread, [&](int row) { return from_a + row * kA; });
        copy_boxes<T, kBRows, kB, kWarpgroupThreads>(b, thread, [&](int row) { return from_b + row * kB; });
        commit_copies();
        wait_copies<0>();
        __syncthreads();
        fence_async_proxy();
    }
};

// The warp's 16 rows of a tile, from row `first_row` on, by ldmatrix.
template <int kWidth, int kRows>
__device__ void load_left(std::uint32_t tile, int first_row, std::uint32_t (&a)[kWidth / 16][4]) {
    const int row = first_row + warp_index() * 16 + lane_index() % 16;
    for (int step = 0; step < kWidth / 16; ++step)
        load_matrices(a[step], tile + static_cast<std::uint32_t>(BoxLayout<kWidth>::template offset<kRows>(
                                          row, step * 2 + lane_index() / 16)));
}

constexpr int kARows = 80;  // of which a product takes the last 64
constexpr int kFirstRow = 16;

// sums[64, kN] = start + A[16.., kWidth] · B[first_b.., kWidth]ᵀ, B of kN + 8 rows; start < 0: c is not read.
template <class T, int kWidth, int kN, Left kLeft>
__global__ void rows_kernel(const T* a, const T* b, float* sums, float start) {
    const Tiles<T, kARows, kWidth, kN + 8, kWidth> tiles{a, b};
    const auto right = right_operand<kWidth, kN + 8>(tiles.b, 8);
    float c[kN / 8][4];
    fill(c, start);
    if constexpr (kLeft == Left::kShared) {
        warpgroup_fence(c);
        warpgroup_rows<T>(c, left_operand<kWidth, kARows>(tiles.a, kFirstRow), right, start >= 0);
    } else {
        std::uint32_t left[kWidth / 16][4];
        load_left<kWidth, kARows>(tiles.a, kFirstRow, left);
        warpgroup_fence(c, left);
        warpgroup_rows<T>(c, left, right, start >= 0);
    }
    warpgroup_commit();
    warpgroup_wait<0>(c);
    store_sums(c, sums);
}

// sums[64, kN] = start + A[16.., kSteps * 16] · B[8.., first_column..], B of 16 kSteps + 8 rows, 64 columns
// more.
template <class T, int kK, int kN>
__global__ void columns_kernel(const T* a, const T* b, float* sums, float start) {
    const Tiles<T, kARows, kK, kK + 8, kN + 64> tiles{a, b};
    const auto right = right_columns<kN + 64, kK + 8>(tiles.b, 8, 64);
    float c[kN / 8][4];
    fill(c, start);
    std::uint32_t left[kK / 16][4];
    load_left<kK, kARows>(tiles.a, kFirstRow, left);
    warpgroup_fence(c, left);
    warpgroup_columns<T>(c, left, right, start >= 0);
    warpgroup_commit();
    warpgroup_wait<0>(c);
    store_sums(c, sums);
}

namespace {

using emulator::Buffer;
using emulator::finish;

// Small multiples of 1/4: sums in fp32 are exact in any order.
template <class T>
std::vector<T> random_values(std::size_t count, unsigned seed) {
    std::mt19937 draw{seed};
    std::vector<T> values(count);
    for (T& value : values)
        value = Half<T>::from_float(static_cast<float>(static_cast<int>(draw() % 17) - 8) / 4);
    return values;
}

constexpr std::size_t kRowsOut = 64;

template <class T>
struct Product {
    Buffer<T> a;
    Buffer<T> b;
    Buffer<float> sums;

    Product(std::size_t a_count, std::size_t b_count, std::size_t n)
        : a{random_values<T>(a_count, 5)}, b{random_values<T>(b_count, 6)}, sums{kRowsOut * n} {}

    template <class Kernel>
    void run(Kernel kernel, std::size_t shared_bytes, float start) {
        ASSERT_EQ(
            launch(kernel,
                   {.blocks = 1, .sequences = 1, .threads = kWarpgroupThreads, .shared_bytes = shared_bytes},
                   nullptr, static_cast<const T*>(a.data()), static_cast<const T*>(b.data()), sums.data(),
                   start),
            cudaSuccess);
        (void)finish(3);
    }
    // b_of(k, column): the index of the right operand's element.
    template <class BOf>
    void expect(std::size_t width, std::size_t n, float start, BOf b_of) {
        for (std::size_t row = 0; row < kRowsOut; ++row)
            for (std::size_t column = 0; column < n; ++column) {
                float sum = start < 0 ? 0 : start;
                for (std::size_t k = 0; k < width; ++k)
                    sum += Half<T>::to_float(a[(row + kFirstRow) * width + k]) *
                           Half<T>::to_float(b[b_of(k, column)]);
                ASSERT_EQ(sums[row * n + column], sum) << "row " << row << ", column " << column;
            }
        EXPECT_TRUE(sums.intact());
    }
};

template <class T, int kWidth, int kN, Left kLeft>
void check_rows(float start) {
    SCOPED_TRACE(testing::Message() << "width " << kWidth << ", n " << kN << ", start " << start);
    Product<T> product{kARows * kWidth, (kN + 8) * kWidth, kN};
    product.run(rows_kernel<T, kWidth, kN, kLeft>, Tiles<T, kARows, kWidth, kN + 8, kWidth>::kBytes, start);
    product.expect(kWidth, kN, start,
                   [](std::size_t k, std::size_t column) { return (column + 8) * kWidth + k; });
}

template <class T, int kK, int kN>
void check_columns(float start) {
    SCOPED_TRACE(testing::Message() << "k " << kK << ", n " << kN << ", start " << start);
    Product<T> product{kARows * kK, (kK + 8) * (kN + 64), kN};
    product.run(columns_kernel<T, kK, kN>, Tiles<T, kARows, kK, kK + 8, kN + 64>::kBytes, start);
    product.expect(kK, kN, start,
                   [](std::size_t k, std::size_t column) { return (k + 8) * (kN + 64) + column + 64; });
}

template <class T>
class WarpgroupProducts : public testing::Test {};
using HalfTypes = testing::Types<__nv_bfloat16, __half>;
TYPED_TEST_SUITE(WarpgroupProducts, HalfTypes);

TEST(Warpgroup, a_kernel_for_this_chip_has_an_image) {
    EXPECT_TRUE(has_image(rows_kernel<__half, 64, 64, Left::kShared>));
}

TYPED_TEST(WarpgroupProducts, rows_of_two_tiles_in_shared_memory_equal_the_loops) {
    check_rows<TypeParam, 64, 64, Left::kShared>(1);
    check_rows<TypeParam, 192, 32, Left::kShared>(-1);
    check_rows<TypeParam, 128, 48, Left::kShared>(1);
    check_rows<TypeParam, 128, 96, Left::kShared>(1);
    check_rows<TypeParam, 128, 112, Left::kShared>(-1);
    check_rows<TypeParam, 128, 128, Left::kShared>(-1);
    check_rows<TypeParam, 192, 192, Left::kShared>(1);
}

TYPED_TEST(WarpgroupProducts, rows_in_registers_by_rows_of_a_tile_equal_the_loops) {
    check_rows<TypeParam, 64, 128, Left::kRegisters>(1);
    check_rows<TypeParam, 128, 64, Left::kRegisters>(-1);
    check_rows<TypeParam, 192, 48, Left::kRegisters>(1);
}

TYPED_TEST(WarpgroupProducts, left_rows_in_registers_by_columns_of_a_tile_equal_the_loops) {
    check_columns<TypeParam, 64, 64>(1);
    check_columns<TypeParam, 128, 128>(-1);
    check_columns<TypeParam, 64, 192>(1);
}

}  // namespace
}  // namespace nsa::core::cuda
