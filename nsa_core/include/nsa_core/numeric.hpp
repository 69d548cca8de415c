// Element types by name, free of Torch so that flags and choosers need no Torch header.
#pragma once

#include <string_view>

namespace nsa::core {

enum class DType { kFp64, kFp32, kFp16, kBf16 };

[[nodiscard]] std::string_view name(DType dtype);  // "fp64", "fp32", "fp16", "bf16"

}  // namespace nsa::core
