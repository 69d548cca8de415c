// Golden files made for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nsa_core/golden/pickle.hpp"
#include "nsa_core/golden/tensor_file.hpp"

namespace nsa::core::golden {

[[nodiscard]] Bytes bytes_of(std::string_view text);

[[nodiscard]] std::string_view characters(ByteView bytes);

// Zeros of the element type, or any other bytes repeated.
[[nodiscard]] StoredTensor tensor(Element element, std::vector<std::int64_t> shape, unsigned char fill = 0);

// A small valid file of scope attention: every output, gradients of one, blocks and a candidate.
[[nodiscard]] TensorFile attention_file();

// A safetensors file of that header and so many bytes behind it.
[[nodiscard]] Bytes safetensors_of(std::string_view header, std::size_t data_bytes);

// A file of torch.save's layout with that pickle and a storage "0" of so many bytes.
[[nodiscard]] Bytes pt_of(std::string_view pickle, std::size_t storage_bytes);

// A 4 x 6 matrix of floats that fills such a storage of 96 bytes.
inline constexpr std::size_t kStorageBytes = 96;
[[nodiscard]] TensorView view();

// The message of the InputError that reading the bytes throws; "read" when it throws none.
[[nodiscard]] std::string fault_of_safetensors(ByteView bytes);
[[nodiscard]] std::string fault_of_pt(ByteView bytes);

}  // namespace nsa::core::golden
