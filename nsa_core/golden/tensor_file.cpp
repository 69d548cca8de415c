#include "nsa_core/golden/tensor_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "nsa_core/errors.hpp"
#include "nsa_core/golden/pt.hpp"
#include "nsa_core/golden/safetensors.hpp"

namespace nsa::core::golden {
namespace {

namespace fs = std::filesystem;

struct ElementFacts {
    Element element;
    std::string_view name;
    std::size_t bytes;
};
constexpr std::array<ElementFacts, 6> kElements{{{Element::kF64, "F64", 8},
                                                 {Element::kF32, "F32", 4},
                                                 {Element::kF16, "F16", 2},
                                                 {Element::kBf16, "BF16", 2},
                                                 {Element::kI64, "I64", 8},
                                                 {Element::kI32, "I32", 4}}};

const ElementFacts& facts_of(Element element) {
    return kElements[static_cast<std::size_t>(element)];
}

enum class Format { kSafetensors, kPt };

Format format_of(const fs::path& path) {
    if (path.extension() == ".safetensors") return Format::kSafetensors;
    if (path.extension() == ".pt") return Format::kPt;
    throw InputError{path.string() + ": a golden file ends in .safetensors or .pt"};
}

[[noreturn]] void cannot(const char* what, const fs::path& path, const std::string& why) {
    throw InputError{path.string() + ": cannot be " + what + ": " + why};
}

Bytes read_bytes(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) cannot("read", path, "there is no such file");
    // A pipe or /dev/zero has no size, and would never end.
    if (!fs::is_regular_file(status)) cannot("read", path, "it is no regular file");
    const std::uintmax_t size = fs::file_size(path, error);
    if (error) cannot("read", path, error.message());
    if (size > kMostFileBytes) cannot("read", path, "it is larger than 4 GiB");
    Bytes bytes(size);
    std::ifstream file{path, std::ios::binary};
    if (!file) cannot("read", path, std::strerror(errno));
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (static_cast<std::uintmax_t>(file.gcount()) != size)
        cannot("read", path, "it shrank while it was read");
    return bytes;
}

}  // namespace

std::size_t size_of(Element element) {
    return facts_of(element).bytes;
}

std::string_view name(Element element) {
    return facts_of(element).name;
}

std::optional<Element> element_named(std::string_view text) {
    for (const ElementFacts& facts : kElements) {
        if (facts.name == text) return facts.element;
    }
    return std::nullopt;
}

std::size_t byte_count(const std::string& tensor, Element element, std::span<const std::int64_t> shape,
                       std::size_t most) {
    if (shape.size() > kMostAxes) {
        throw InputError{"tensor " + tensor + " has " + std::to_string(shape.size()) + " axes; at most " +
                         std::to_string(kMostAxes) + " are read"};
    }
    bool empty = false;
    std::size_t count = size_of(element);
    bool too_large = false;
    for (const std::int64_t axis : shape) {
        if (axis < 0) throw InputError{"tensor " + tensor + " has a negative axis"};
        empty = empty || axis == 0;
        if (axis == 0 || too_large) continue;
        // Division instead of a product that could wrap around.
        too_large = static_cast<std::uint64_t>(axis) > most / count;
        if (!too_large) count *= static_cast<std::size_t>(axis);
    }
    if (empty) return 0;
    if (too_large) throw InputError{"tensor " + tensor + ": its shape needs more bytes than the file has"};
    return count;
}

void check_name(std::string_view text) {
    bool plain = !text.empty() && text.size() <= kMostNameBytes;
    for (const char c : text)
        plain = plain && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    if (!plain) {
        throw InputError{"a name is empty, longer than " + std::to_string(kMostNameBytes) +
                         " bytes or holds control characters"};
    }
}

void add_metadata(std::map<std::string, std::string>& metadata, const std::string& name, std::string value) {
    check_name(name);
    if (value.size() > kMostMetadataBytes) throw InputError{"metadata " + name + " is too long"};
    if (metadata.size() == kMostMetadata) {
        throw InputError{"more than " + std::to_string(kMostMetadata) + " entries of metadata"};
    }
    if (!metadata.emplace(name, std::move(value)).second) {
        throw InputError{"metadata " + name + " is given twice"};
    }
}

TensorFile read_tensor_file(const fs::path& path) {
    const Format format = format_of(path);
    const Bytes bytes = read_bytes(path);
    try {
        return format == Format::kPt ? parse_pt(bytes) : parse_safetensors(bytes);
    } catch (const InputError& error) {
        throw InputError{path.string() + ": " + error.what()};
    }
}

void write_tensor_file(const fs::path& path, const TensorFile& file) {
    const Bytes bytes = format_of(path) == Format::kPt ? pt_bytes(file) : safetensors_bytes(file);
    std::ofstream out{path, std::ios::binary | std::ios::trunc};
    if (!out) cannot("written", path, std::strerror(errno));
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) cannot("written", path, std::strerror(errno));
}

}  // namespace nsa::core::golden
