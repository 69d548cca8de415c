#include "emulator/copies.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "emulator/error.hpp"
#include "emulator/global_memory.hpp"
#include "emulator/machine.hpp"

namespace nsa::emulator {

void PendingCopies::start(std::uint32_t to, const void* from, std::size_t bytes, std::size_t copied) {
    if (reinterpret_cast<std::uintptr_t>(from) % bytes != 0)
        fail("an asynchronous copy of " + std::to_string(bytes) +
             " bytes from an address that is not aligned");
    check_global(from, copied);
    std::byte* const place = at_address(to, bytes);
    std::fill_n(place, bytes, kPoison);
    copies_.push_back({place, static_cast<const std::byte*>(from), bytes, copied, committed_});
    Counters& counters = *current_gang().counters;
    ++counters.copies;
    counters.copied_bytes += copied;
}

void PendingCopies::wait(int pending) {
    const std::int64_t covered = committed_ - pending;
    const auto end = std::ranges::find_if(copies_, [&](const Copy& copy) { return copy.group >= covered; });
    for (auto copy = copies_.begin(); copy != end; ++copy) {
        std::memcpy(copy->to, copy->from, copy->copied);
        std::memset(copy->to + copy->copied, 0, copy->bytes - copy->copied);
        Block& block = current_block();
        block.shared.copied(copy->to) = {current, ++block.clock};
    }
    landed_.insert(landed_.end(), copies_.begin(), end);
    copies_.erase(copies_.begin(), end);
}

bool PendingCopies::unpublished(const std::byte* begin, std::size_t bytes) const {
    return std::ranges::any_of(
        landed_, [&](const Copy& copy) { return copy.to < begin + bytes && begin < copy.to + copy.bytes; });
}

}  // namespace nsa::emulator
