// Global memory for tests: NaN until it is written, between bytes that must stay as they are.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace nsa::emulator {

/// A fault of the running kernel when the bytes touch the guards of a GlobalMemory. Other memory is free.
void check_global(const void* begin, std::size_t bytes);

/// Bytes, aligned to 256. Not thread safe, like all of the emulator.
class GlobalMemory {
  public:
    explicit GlobalMemory(std::size_t bytes);
    ~GlobalMemory();
    GlobalMemory(const GlobalMemory&) = delete;
    GlobalMemory& operator=(const GlobalMemory&) = delete;

    [[nodiscard]] std::byte* begin() { return begin_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Whether nothing was written just before or behind it.
    [[nodiscard]] bool intact() const;

  private:
    std::vector<std::byte> memory_;
    std::byte* begin_;
    std::size_t size_;
};

/// `count` values of a plain type, or those of `values`.
template <class T>
class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    explicit Buffer(std::size_t count) : memory_{count * sizeof(T)}, count_{count} {}
    explicit Buffer(const std::vector<T>& values) : Buffer{values.size()} {
        std::copy(values.begin(), values.end(), data());
    }
    [[nodiscard]] T* data() { return reinterpret_cast<T*>(memory_.begin()); }
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] T& operator[](std::size_t i) { return data()[i]; }
    [[nodiscard]] std::vector<T> values() { return {data(), data() + count_}; }
    [[nodiscard]] bool intact() const { return memory_.intact(); }

  private:
    GlobalMemory memory_;
    std::size_t count_;
};

}  // namespace nsa::emulator
