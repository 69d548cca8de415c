// Dynamic shared memory of one thread block: NaN before its first thread runs and after its last one ended,
// with bytes behind it that must stay as they are. Addresses of the shared window are 32 bits: the rank in
// the cluster, and the offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nsa::emulator {

struct Block;
struct Lane;

/// Who copied a piece of 16 bytes last, and when it landed.
struct CopiedPiece {
    const Lane* by = nullptr;
    std::int64_t at = 0;
};

class SharedMemory {
  public:
    void resize(std::size_t bytes);
    void poison();
    /// Whether something was written just before or behind the memory.
    [[nodiscard]] bool intact() const;

    [[nodiscard]] std::byte* begin() { return begin_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool holds(const void* pointer) const {
        const auto* at = static_cast<const std::byte*>(pointer);
        return at >= begin_ && at <= begin_ + size_;
    }
    /// Of the piece that `at` lies in.
    [[nodiscard]] CopiedPiece& copied(const std::byte* at) {
        return copied_[static_cast<std::size_t>(at - begin_) / 16];
    }

  private:
    std::vector<std::byte> memory_;
    std::byte* begin_ = nullptr;
    std::size_t size_ = 0;
    std::vector<CopiedPiece> copied_;
};

/// Address of a place in the current thread block's shared memory. A fault when it is elsewhere.
[[nodiscard]] std::uint32_t address_of(const void* pointer);
/// The `bytes` bytes behind an address. A fault when they are not all in shared memory, or not aligned to
/// their size.
[[nodiscard]] std::byte* at_address(std::uint32_t address, std::size_t bytes);
/// The same place in thread block `rank` of the cluster. A fault before the current lane knows, from a
/// cluster barrier, that it has started: stricter than the hardware, which minds the access only.
[[nodiscard]] std::byte* in_cluster(void* pointer, int rank);
[[nodiscard]] std::uint32_t in_cluster(std::uint32_t address, int rank);

/// NaN in fp32, bf16 and fp16.
inline constexpr std::byte kPoison{0xFF};

}  // namespace nsa::emulator
