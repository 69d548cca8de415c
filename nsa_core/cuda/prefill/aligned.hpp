// Whether the kernels can copy rows by pieces of 16 bytes.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::core::cuda {

[[nodiscard]] inline bool aligned(const ConstRows& rows) {
    constexpr std::int64_t kElements = 8;  // of 16 bytes
    return reinterpret_cast<std::uintptr_t>(rows.data) % 16 == 0 && rows.batch % kElements == 0 &&
           rows.head % kElements == 0 && rows.token % kElements == 0;
}
template <class... More>
[[nodiscard]] bool aligned(const ConstRows& rows, const More&... more) {
    return aligned(rows) && aligned(more...);
}

}  // namespace nsa::core::cuda
