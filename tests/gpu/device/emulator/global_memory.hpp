// The memory of tests/emulator on a device: the same tests run there, this folder ahead of that one. Pinned
// memory of the host, which kernels read and write where it lies, NaN until it is written, between bytes that
// must stay as they are.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace nsa::emulator {

inline void expect_success(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw std::runtime_error(std::string{what} + ": " + cudaGetErrorString(error));
}

/// `count` values of a plain type, or those of `values`.
template <class T>
class Buffer {
  public:
    explicit Buffer(std::size_t count) : count_{count} {
        expect_success(cudaMallocHost(&memory_, kGuard + count * sizeof(T) + kGuard), "cudaMallocHost");
        std::fill_n(memory_, kGuard + count * sizeof(T) + kGuard, kPoison);
    }
    explicit Buffer(const std::vector<T>& values) : Buffer{values.size()} {
        std::copy(values.begin(), values.end(), data());
    }
    ~Buffer() { cudaFreeHost(memory_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    [[nodiscard]] T* data() { return reinterpret_cast<T*>(memory_ + kGuard); }
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] T& operator[](std::size_t i) { return data()[i]; }
    [[nodiscard]] std::vector<T> values() { return {data(), data() + count_}; }
    [[nodiscard]] bool intact() const {
        const auto poisoned = [](unsigned char byte) { return byte == kPoison; };
        const unsigned char* const end = memory_ + kGuard + count_ * sizeof(T);
        return std::all_of(memory_, memory_ + kGuard, poisoned) && std::all_of(end, end + kGuard, poisoned);
    }

  private:
    static constexpr std::size_t kGuard = 4096;
    static constexpr unsigned char kPoison = 0xff;  // NaN in every float type

    unsigned char* memory_ = nullptr;
    std::size_t count_;
};

}  // namespace nsa::emulator
