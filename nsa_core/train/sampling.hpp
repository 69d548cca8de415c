// The windows of bytes that a run reads: of a file, or of the synthetic language.
#pragma once

#include <cstdint>
#include <string>

#include "nsa_core/train/byte_data.hpp"

namespace nsa::core::train {

// `data` is "synthetic" or a path; windows of seq + 1 bytes, since the last byte is a target only. Throws
// InputError, naming --data, when the file cannot be read, is empty or is shorter than one window.
[[nodiscard]] WindowSampler sampler_of(const std::string& data, std::int64_t seq, std::int64_t seed);

}  // namespace nsa::core::train
