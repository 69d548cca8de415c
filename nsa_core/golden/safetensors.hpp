// The safetensors format: 8 bytes of header length, little-endian; a JSON header that names dtype, shape and
// byte range of every tensor; the bytes. Ranges must tile the bytes, without hole and overlap.
#pragma once

#include "nsa_core/golden/tensor_file.hpp"

namespace nsa::core::golden {

// Throws InputError.
[[nodiscard]] TensorFile parse_safetensors(ByteView bytes);
[[nodiscard]] Bytes safetensors_bytes(const TensorFile& file);

}  // namespace nsa::core::golden
