#include "emulator/global_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <map>

#include "emulator/error.hpp"
#include "emulator/shared_memory.hpp"

namespace nsa::emulator {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kGuard = 4096;
constexpr std::byte kCanary{0x5A};

// Whole allocations, guards included, by their first byte; with the memory inside.
struct Range {
    const std::byte* end;
    const std::byte* inner_begin;
    const std::byte* inner_end;
};
std::map<const std::byte*, Range>& ranges() {
    static std::map<const std::byte*, Range> all;
    return all;
}

}  // namespace

void check_global(const void* begin, std::size_t bytes) {
    const auto* first = static_cast<const std::byte*>(begin);
    auto after = ranges().upper_bound(first);
    if (bytes == 0 || after == ranges().begin()) return;
    const Range& range = std::prev(after)->second;
    if (first >= range.end) return;
    if (first < range.inner_begin || first + bytes > range.inner_end)
        fail("global memory read at byte " + std::to_string(first - range.inner_begin) + " of a buffer of " +
             std::to_string(range.inner_end - range.inner_begin));
}

GlobalMemory::GlobalMemory(std::size_t bytes)
    : memory_(bytes + 2 * kGuard + kAlignment, kCanary), size_{bytes} {
    auto start = reinterpret_cast<std::uintptr_t>(memory_.data()) + kGuard;
    start = (start + kAlignment - 1) / kAlignment * kAlignment;
    begin_ = memory_.data() + (start - reinterpret_cast<std::uintptr_t>(memory_.data()));
    std::fill_n(begin_, bytes, kPoison);
    ranges()[memory_.data()] = {memory_.data() + memory_.size(), begin_, begin_ + bytes};
}

GlobalMemory::~GlobalMemory() {
    ranges().erase(memory_.data());
}

bool GlobalMemory::intact() const {
    const auto is_canary = [](std::byte byte) { return byte == kCanary; };
    const std::byte* const first = begin_;
    return std::all_of(memory_.data(), first, is_canary) &&
           std::all_of(first + size_, memory_.data() + memory_.size(), is_canary);
}

}  // namespace nsa::emulator
