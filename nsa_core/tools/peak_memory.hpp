// The most memory that tensors take at once, counted by LibTorch's own allocators.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace nsa::core::tools {

// CPU: every byte asked of LibTorch's CPU allocator, exactly and by all threads; scratch that libraries such
// as BLAS take by themselves is not in it. CUDA: the caching allocator's allocated bytes, which come in
// blocks of 512. One at a time. On the CPU it must be made before the tensors that are to be counted, and the
// counting allocator that it puts in stays for the life of the process.
class PeakMemory {
  public:
    explicit PeakMemory(at::Device device);

    // Bytes held now. Waits for the device.
    [[nodiscard]] std::int64_t held() const;
    // Begins anew: the peak is what is held now.
    void restart() const;
    [[nodiscard]] std::int64_t peak() const;  // since the last restart

    [[nodiscard]] std::string method() const;  // what counts, in words

  private:
    at::Device device_;
};

}  // namespace nsa::core::tools
