#include "emulator/matrix.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "emulator/collectives.hpp"
#include "emulator/error.hpp"
#include "emulator/numbers.hpp"

namespace nsa::emulator {
namespace {

constexpr char kMultiply[] = "mma";
constexpr char kLoad[] = "ldmatrix";
constexpr char kLoadTransposed[] = "ldmatrix.trans";

// Two packed values, the lower bits first.
template <class T>
void unpack(std::uint32_t bits, float& low, float& high) {
    constexpr bool kHalf = std::is_same_v<T, __half>;
    low = to_float(kHalf, static_cast<std::uint16_t>(bits));
    high = to_float(kHalf, static_cast<std::uint16_t>(bits >> 16));
}

struct Fragments {
    float* c;
    const std::uint32_t* a;
    std::uint32_t b[2];
};

template <class T>
void multiply_warp() {
    float a[16][16];  // [row][k]
    float b[16][8];   // [k][column]
    float c[16][8];
    for (int lane = 0; lane < kLanes; ++lane) {
        const Fragments& mine = deposit_of<Fragments>(lane);
        const int row = lane / 4;
        const int pair = lane % 4 * 2;
        unpack<T>(mine.a[0], a[row][pair], a[row][pair + 1]);
        unpack<T>(mine.a[1], a[row + 8][pair], a[row + 8][pair + 1]);
        unpack<T>(mine.a[2], a[row][pair + 8], a[row][pair + 9]);
        unpack<T>(mine.a[3], a[row + 8][pair + 8], a[row + 8][pair + 9]);
        unpack<T>(mine.b[0], b[pair][row], b[pair + 1][row]);
        unpack<T>(mine.b[1], b[pair + 8][row], b[pair + 9][row]);
        for (int i = 0; i < 4; ++i)
            c[row + i / 2 * 8][pair + i % 2] = mine.c[i];
    }
    for (int row = 0; row < 16; ++row)
        for (int k = 0; k < 16; ++k)
            for (int column = 0; column < 8; ++column)
                c[row][column] += a[row][k] * b[k][column];
    for (int lane = 0; lane < kLanes; ++lane)
        for (int i = 0; i < 4; ++i)
            deposit_of<Fragments>(lane).c[i] = c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
}

struct MatrixRow {
    const std::byte* row;
    std::uint32_t* to;
};

// Passes of one read of 8 rows of 16 bytes: rows that differ and lie in the same banks take one each.
std::uint64_t passes(int matrix) {
    std::array<std::vector<std::uintptr_t>, 8> in_banks;
    std::size_t most = 1;
    for (int i = 0; i < 8; ++i) {
        const auto line = reinterpret_cast<std::uintptr_t>(deposit_of<MatrixRow>(matrix * 8 + i).row) / 16;
        auto& lines = in_banks[line % 8];
        if (std::ranges::find(lines, line) == lines.end()) lines.push_back(line);
        most = std::max(most, lines.size());
    }
    return most;
}

// A row that a lane has copied is the other lanes' to read behind a barrier.
void check_published() {
    for (const auto& lane : current->warp->lanes) {
        if (lane->copies.all_published()) continue;
        for (int i = 0; i < kLanes; ++i)
            if (lane->copies.unpublished(deposit_of<MatrixRow>(i).row, 16))
                fail("ldmatrix of what lane " + std::to_string(lane->index) +
                     " copied, without a barrier behind its wait");
    }
}

void load_warp(bool transposed) {
    check_published();
    for (int matrix = 0; matrix < 4; ++matrix) {
        current_gang().counters->ldmatrix_conflicts += passes(matrix) - 1;
        for (int lane = 0; lane < kLanes; ++lane) {
            std::uint16_t pair[2];
            for (int i = 0; i < 2; ++i) {
                const int row = transposed ? lane % 4 * 2 + i : lane / 4;
                const int column = transposed ? lane / 4 : lane % 4 * 2 + i;
                std::memcpy(&pair[i], deposit_of<MatrixRow>(matrix * 8 + row).row + 2 * column, 2);
            }
            deposit_of<MatrixRow>(lane).to[matrix] = std::bit_cast<std::uint32_t>(pair);
        }
    }
}

}  // namespace

template <class T>
void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    Fragments mine{c, a, {b0, b1}};
    if (arrive(kMultiply, kAllLanes, &mine)) {
        multiply_warp<T>();
        ++current_gang().counters->mma;
        leave(kAllLanes);
    }
    may_take_off();
}
template void multiply<__nv_bfloat16>(float (&)[4], const std::uint32_t (&)[4], std::uint32_t, std::uint32_t);
template void multiply<__half>(float (&)[4], const std::uint32_t (&)[4], std::uint32_t, std::uint32_t);

void load_matrices(std::uint32_t (&r)[4], std::uint32_t address, bool transposed) {
    MatrixRow mine{at_address(address, 16), r};
    if (arrive(transposed ? kLoadTransposed : kLoad, kAllLanes, &mine)) {
        load_warp(transposed);
        ++current_gang().counters->ldmatrix;
        leave(kAllLanes);
    }
    may_take_off();
}

}  // namespace nsa::emulator
