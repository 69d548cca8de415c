// Named tensors and their metadata as a file holds them: safetensors, or the zip with a pickle that
// torch.save writes. Free of Torch, so that hostile files meet little code, all of it ours and tested alone.
//
// Whatever the bytes say, a reader runs no code of the file, never reads outside it, and holds no more than
// the file twice and a few dozen MiB for what describes it. What is wrong is an InputError that says what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nsa::core::golden {

enum class Element { kF64, kF32, kF16, kBf16, kI64, kI32 };

[[nodiscard]] std::size_t size_of(Element element);                         // bytes
[[nodiscard]] std::string_view name(Element element);                       // "F64", "BF16", as safetensors
[[nodiscard]] std::optional<Element> element_named(std::string_view text);  // nothing: not one of the six

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

struct StoredTensor {
    Element element = Element::kF32;
    std::vector<std::int64_t> shape;  // at most 8 axes
    Bytes bytes;                      // row-major, little-endian, exactly the product of the shape
};

struct TensorFile {
    std::map<std::string, std::string> metadata;
    std::map<std::string, StoredTensor> tensors;
};

inline constexpr std::size_t kMostTensors = 1024;
inline constexpr std::size_t kMostHeaderBytes = std::size_t{1} << 18;  // of the JSON header, of the pickle
inline constexpr std::size_t kMostAxes = 8;
inline constexpr std::size_t kMostNameBytes = 256;
inline constexpr std::size_t kMostMetadata = 64;         // entries
inline constexpr std::size_t kMostMetadataBytes = 4096;  // of one entry's value
inline constexpr std::uintmax_t kMostFileBytes = std::uintmax_t{4} << 30;

// Bytes of a tensor of that shape. Throws InputError, naming the tensor, for a negative axis, too many axes,
// or a product that passes `most`.
[[nodiscard]] std::size_t byte_count(const std::string& tensor, Element element,
                                     std::span<const std::int64_t> shape, std::size_t most);

// Throws InputError when the name is empty, too long or holds a control character.
void check_name(std::string_view name);

// Adds the entry. Throws InputError when it is there already, or when name, value or number pass a bound.
void add_metadata(std::map<std::string, std::string>& metadata, const std::string& name, std::string value);

// The format is told by the name: .safetensors or .pt. Both throw InputError, naming the file.
[[nodiscard]] TensorFile read_tensor_file(const std::filesystem::path& path);
void write_tensor_file(const std::filesystem::path& path, const TensorFile& file);

}  // namespace nsa::core::golden
