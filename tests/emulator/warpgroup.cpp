#include "emulator/warpgroup.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "emulator/collectives.hpp"
#include "emulator/error.hpp"
#include "emulator/numbers.hpp"

namespace nsa::emulator {
namespace {

constexpr char kProduct[] = "wgmma";
constexpr char kFence[] = "wgmma.fence";
constexpr char kCommit[] = "wgmma.commit_group";
constexpr char kWait[] = "wgmma.wait_group";
constexpr char kSetRegisters[] = "setmaxnreg";
constexpr std::uint32_t kPoisonBits = 0xFFFFFFFFU;

// A matrix in shared memory with the 128-byte swizzle; offsets in bytes.
struct Matrix {
    std::uint32_t start;
    std::uint32_t leading;
    std::uint32_t stride;

    explicit Matrix(std::uint64_t descriptor)
        : start{static_cast<std::uint32_t>(descriptor & 0x3FFF) << 4},
          leading{static_cast<std::uint32_t>(descriptor >> 16 & 0x3FFF) << 4},
          stride{static_cast<std::uint32_t>(descriptor >> 32 & 0x3FFF) << 4} {
        if (descriptor >> 62 != 1)
            fail("wgmma of a matrix without the 128-byte swizzle, which is not emulated");
        if ((descriptor >> 49 & 7) != 0) fail("wgmma of a matrix with a base offset, which is not emulated");
        if (start % 1024 >= 128 || stride % 1024 != 0)
            fail("wgmma of a matrix whose patterns of 8 rows do not begin at multiples of 1024: address " +
                 std::to_string(start) + ", stride " + std::to_string(stride));
    }

    // The piece of 16 bytes with element 8 piece of row `row`, rows being of M or N.
    [[nodiscard]] std::uint32_t k_major(int row, int piece) const {
        return swizzled(start + unsigned(row / 8) * stride + unsigned(row % 8 * 128 + piece * 16));
    }
    // The same of row `row` of k.
    [[nodiscard]] std::uint32_t mn_major(int row, int piece) const {
        return swizzled(start + unsigned(row / 8) * stride + unsigned(piece / 8) * leading +
                        unsigned(row % 8 * 128 + piece % 8 * 16));
    }

  private:
    static std::uint32_t swizzled(std::uint32_t address) { return address ^ (address >> 3 & 0x70U); }
};

// 8 elements. A fault unless the running warp may read them through the asynchronous proxy.
void read_piece(std::uint32_t address, std::uint16_t* to, std::int64_t fenced_at) {
    const std::byte* const piece = at_address(address, 16);
    const CopiedPiece& copied = current_block().shared.copied(piece);
    if (copied.by != nullptr && copied.at > std::max(fenced_at, copied.by->fenced_at))
        fail(
            "wgmma of what a thread copied, without fence_async_proxy() behind the barrier (or by that "
            "thread, behind "
            "its wait)");
    std::memcpy(to, piece, 16);
}

// Since when all lanes of the running warp see what others have copied.
std::int64_t fenced_at() {
    std::int64_t first = current->fenced_at;
    for (const auto& lane : current->warp->lanes)
        first = std::min(first, lane->fenced_at);
    return first;
}

template <class Do>
void together(const char* name, Do action) {
    if (arrive(name, kAllLanes, nullptr)) {
        action(current->warp->products);
        leave(kAllLanes);
    }
    may_take_off();
}

}  // namespace

void PendingProducts::read_shared(const Product& product, int warp, Operands& operands) {
    const std::int64_t fenced = fenced_at();
    if (!product.left_in_registers) {
        const Matrix left{product.left};
        operands.left.resize(kRows * kDepth);
        for (int row = 0; row < kRows; ++row)
            for (int piece = 0; piece < 2; ++piece)
                read_piece(left.k_major(warp * kRows + row, piece), &operands.left[row * kDepth + piece * 8],
                           fenced);
    }
    const Matrix right{product.right};
    const int columns = product.columns;
    operands.right.resize(kDepth * columns);
    if (product.transposed_right) {
        for (int k = 0; k < kDepth; ++k)
            for (int piece = 0; piece < columns / 8; ++piece)
                read_piece(right.mn_major(k, piece), &operands.right[k * columns + piece * 8], fenced);
        return;
    }
    for (int column = 0; column < columns; ++column) {
        std::uint16_t values[kDepth];
        for (int piece = 0; piece < 2; ++piece)
            read_piece(right.k_major(column, piece), values + piece * 8, fenced);
        for (int k = 0; k < kDepth; ++k)
            operands.right[k * columns + column] = values[k];
    }
}

PendingProducts::Sums& PendingProducts::sums_of(const Fragments& first) {
    const Product& product = first.product;
    for (Sums& sums : sums_)
        if (sums.of_lane[0] == first.sums && sums.columns == product.columns) return sums;
    for (const Sums& sums : sums_)
        if (first.sums < sums.of_lane[0] + sums.columns / 2 &&
            sums.of_lane[0] < first.sums + product.columns / 2)
            fail("wgmma into a part of accumulators that another product under way adds to");
    if (!fenced_) fail("wgmma into registers without a warpgroup_fence() since the last group");
    Sums& sums =
        sums_.emplace_back(Sums{{}, product.columns, 0, std::vector<float>(kRows * product.columns)});
    for (int lane = 0; lane < kLanes; ++lane) {
        float* const mine = sums.of_lane[lane] = deposit_of<Fragments>(lane).sums;
        for (int i = 0; i < product.columns / 2; ++i) {
            const int row = lane / 4 + i / 2 % 2 * 8;
            const int column = i / 4 * 8 + lane % 4 * 2 + i % 2;
            sums.values[row * product.columns + column] = mine[i];
        }
        std::fill_n(mine, product.columns / 2, std::bit_cast<float>(kPoisonBits));
    }
    return sums;
}

void PendingProducts::issue(Warp& warp) {
    const Fragments& first = deposit_of<Fragments>(0);
    const Product& product = first.product;
    for (int lane = 1; lane < kLanes; ++lane)
        if (deposit_of<Fragments>(lane).product != product) fail("wgmma that differs from that of lane 0");
    Block& block = *warp.block;
    if (block.warps.size() / 4 <= static_cast<std::size_t>(warp.index / 4))
        fail("wgmma in a warpgroup of fewer than 4 warps");
    block.product_orders.resize(block.warps.size() / 4);
    block.product_orders[static_cast<std::size_t>(warp.index / 4)].add(warp.index % 4, product);
    Issued issued{product, warp.index % 4, first.sums, {}, committed_};
    if (product.left_in_registers) {
        issued.operands.left.resize(kRows * kDepth);
        for (int lane = 0; lane < kLanes; ++lane)
            for (int i = 0; i < 4; ++i) {
                const int at = (lane / 4 + i % 2 * 8) * kDepth + i / 2 * 8 + lane % 4 * 2;
                std::memcpy(&issued.operands.left[at], &deposit_of<Fragments>(lane).left[i], 4);
            }
    }
    read_shared(product, issued.warp, issued.operands);
    ++sums_of(first).products;
    issued_.push_back(std::move(issued));
    ++current_gang().counters->wgmma;
}

void PendingProducts::land(const Issued& issued) {
    const Product& product = issued.product;
    Operands again{product.left_in_registers ? issued.operands.left : std::vector<std::uint16_t>{}, {}};
    read_shared(product, issued.warp, again);
    if (again != issued.operands) fail("the operands of a wgmma were written while it was under way");
    const auto sums = std::ranges::find_if(sums_, [&](const Sums& each) {
        return each.of_lane[0] == issued.sums && each.columns == product.columns;
    });
    const auto columns = static_cast<std::size_t>(product.columns);
    std::vector<float> right(kDepth * columns);
    std::ranges::transform(again.right, right.begin(),
                           [&](std::uint16_t bits) { return to_float(product.half, bits); });
    for (std::size_t row = 0; row < kRows; ++row) {
        float* const to = &sums->values[row * columns];
        if (!product.accumulate) std::fill_n(to, columns, 0.0F);
        for (std::size_t k = 0; k < kDepth; ++k) {
            const float left = to_float(product.half, again.left[row * kDepth + k]);
            for (std::size_t column = 0; column < columns; ++column)
                to[column] += left * right[k * columns + column];
        }
    }
    if (--sums->products > 0) return;
    give_back(*sums);
    sums_.erase(sums);
}

void PendingProducts::give_back(const Sums& sums) {
    for (int lane = 0; lane < kLanes; ++lane)
        for (int i = 0; i < sums.columns / 2; ++i) {
            float& mine = sums.of_lane[lane][i];
            if (std::bit_cast<std::uint32_t>(mine) != kPoisonBits)
                fail("the accumulators of a wgmma were written while it was under way");
            const int row = lane / 4 + i / 2 % 2 * 8;
            mine = sums.values[row * sums.columns + i / 4 * 8 + lane % 4 * 2 + i % 2];
        }
}

void PendingProducts::wait(int pending) {
    while (!issued_.empty() && issued_.front().group < committed_ - pending) {
        land(issued_.front());
        issued_.pop_front();
    }
}

void ProductOrder::add(int warp, const Product& product) {
    const std::int64_t number = counts_[warp]++ - first_;
    if (number == static_cast<std::int64_t>(products_.size())) {
        products_.push_back(product);
    } else if (products_[static_cast<std::size_t>(number)] != product) {
        fail("wgmma that differs from that of another warp of the warpgroup");
    }
    while (first_ < *std::ranges::min_element(counts_)) {
        products_.pop_front();
        ++first_;
    }
}

bool ProductOrder::complete() const {
    return products_.empty();
}

void warpgroup_product(const Product& product, float* sums, const std::uint32_t* left) {
    PendingProducts::Fragments mine{product, sums, left};
    if (arrive(kProduct, kAllLanes, &mine)) {
        current->warp->products.issue(*current->warp);
        leave(kAllLanes);
    }
    may_take_off();
}

void warpgroup_fence() {
    together(kFence, [](PendingProducts& products) { products.fence(); });
}
void warpgroup_commit() {
    together(kCommit, [](PendingProducts& products) { products.commit(); });
}
void warpgroup_wait(int pending) {
    together(kWait, [=](PendingProducts& products) { products.wait(pending); });
}

void set_registers(int registers) {
    if (registers < 24 || registers > 256 || registers % 8 != 0)
        fail("setmaxnreg to " + std::to_string(registers) + " registers");
    meet(kSetRegisters, kAllLanes);
}

}  // namespace nsa::emulator
