// The two element types of the tensor-core kernels, by name.
#pragma once

#include <cstdint>

namespace nsa::core::cuda {

enum class HalfType : std::uint8_t { kBf16, kFp16 };

}  // namespace nsa::core::cuda
