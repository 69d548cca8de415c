#include "emulator/shared_memory.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "emulator/error.hpp"
#include "emulator/machine.hpp"

namespace nsa::emulator {
namespace {

constexpr std::size_t kAlignment = 1024;  // of the memory
constexpr std::size_t kGuard = 1024;      // bytes on either side
constexpr std::byte kCanary{0xA5};
constexpr std::uint32_t kWindow = 1024;  // offset of the first byte: 0 is no address
constexpr unsigned kRankShift = 24;      // of the rank + 1 in an address of another thread block

Block& block_of_rank(int rank) {
    const auto& blocks = current_gang().blocks;
    if (rank < 0 || rank >= static_cast<int>(current_gang().cluster))
        fail("rank " + std::to_string(rank) + " in a cluster of " + std::to_string(current_gang().cluster));
    Block& block = *blocks[static_cast<std::size_t>(rank)];
    if (&block == &current_block()) return block;
    if (!current->met_cluster)
        fail("shared memory of rank " + std::to_string(rank) +
             " before any cluster barrier: that thread block may not have started");
    if (block.live == 0) fail("shared memory of rank " + std::to_string(rank) + ", which has ended");
    return block;
}

}  // namespace

void SharedMemory::resize(std::size_t bytes) {
    size_ = bytes;
    copied_.assign(bytes / 16 + 1, {});
    memory_.assign(bytes + 2 * kGuard + kAlignment, kCanary);
    auto start = reinterpret_cast<std::uintptr_t>(memory_.data()) + kGuard;
    start = (start + kAlignment - 1) / kAlignment * kAlignment;
    begin_ = memory_.data() + (start - reinterpret_cast<std::uintptr_t>(memory_.data()));
    poison();
}

void SharedMemory::poison() {
    std::fill_n(begin_, size_, kPoison);
}

bool SharedMemory::intact() const {
    const auto is_canary = [](std::byte byte) { return byte == kCanary; };
    return std::all_of(memory_.data(), static_cast<const std::byte*>(begin_), is_canary) &&
           std::all_of(static_cast<const std::byte*>(begin_) + size_, memory_.data() + memory_.size(),
                       is_canary);
}

std::uint32_t address_of(const void* pointer) {
    SharedMemory& shared = current_block().shared;
    if (!shared.holds(pointer)) fail("the shared address of something that is not in shared memory");
    return kWindow + static_cast<std::uint32_t>(static_cast<const std::byte*>(pointer) - shared.begin());
}

std::byte* at_address(std::uint32_t address, std::size_t bytes) {
    const std::uint32_t rank = address >> kRankShift;
    SharedMemory& shared =
        rank == 0 ? current_block().shared : block_of_rank(static_cast<int>(rank) - 1).shared;
    const std::uint32_t offset = (address & ((1U << kRankShift) - 1)) - kWindow;
    if (offset > shared.size() || shared.size() - offset < bytes)
        fail("bytes " + std::to_string(static_cast<std::int32_t>(offset)) + " to " +
             std::to_string(static_cast<std::int64_t>(static_cast<std::int32_t>(offset)) +
                            static_cast<std::int64_t>(bytes)) +
             " of shared memory, which has " + std::to_string(shared.size()));
    if (offset % bytes != 0)
        fail(std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
             " of shared memory, which is not a multiple of that");
    return shared.begin() + offset;
}

std::byte* in_cluster(void* pointer, int rank) {
    SharedMemory& own = current_block().shared;
    if (!own.holds(pointer)) fail("cluster_map of something that is not in shared memory");
    return block_of_rank(rank).shared.begin() + (static_cast<std::byte*>(pointer) - own.begin());
}

std::uint32_t in_cluster(std::uint32_t address, int rank) {
    (void)block_of_rank(rank);
    return (address & ((1U << kRankShift) - 1)) | (static_cast<std::uint32_t>(rank) + 1) << kRankShift;
}

}  // namespace nsa::emulator
