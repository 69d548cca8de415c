// The files of torch.save (torch 1.6 or newer): a zip archive with data.pkl, a pickle that describes tensors
// as views of storages, and the storages beside it under data/.
#pragma once

#include "nsa_core/golden/tensor_file.hpp"

namespace nsa::core::golden {

// Tensors become contiguous. Throws InputError.
[[nodiscard]] TensorFile parse_pt(ByteView bytes);
[[nodiscard]] Bytes pt_bytes(const TensorFile& file);

}  // namespace nsa::core::golden
