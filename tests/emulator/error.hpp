// A fault of a kernel that the emulator saw: thrown out of launch().
#pragma once

#include <stdexcept>
#include <string>

namespace nsa::emulator {

/// what() names the kernel, thread block, warp and lane, and the fault.
class KernelFault : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// From within a kernel: ends the launch with a KernelFault about the running lane.
[[noreturn]] void fail(const std::string& fault);

}  // namespace nsa::emulator
