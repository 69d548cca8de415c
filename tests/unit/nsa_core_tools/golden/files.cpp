#include "files.hpp"

#include "nsa_core/errors.hpp"
#include "nsa_core/golden/pt.hpp"
#include "nsa_core/golden/safetensors.hpp"
#include "nsa_core/golden/zip.hpp"

namespace nsa::core::golden {

Bytes bytes_of(std::string_view text) {
    const ByteView view = std::as_bytes(std::span{text.data(), text.size()});
    return {view.begin(), view.end()};
}

std::string_view characters(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TensorView view() {
    return {.element = Element::kF32,
            .storage = "0",
            .storage_elements = 24,
            .offset = 0,
            .shape = {4, 6},
            .strides = {6, 1}};
}

StoredTensor tensor(Element element, std::vector<std::int64_t> shape, unsigned char fill) {
    const std::size_t bytes = byte_count("test", element, shape, std::size_t{1} << 30);
    return {.element = element, .shape = std::move(shape), .bytes = Bytes(bytes, std::byte{fill})};
}

TensorFile attention_file() {
    TensorFile file;
    file.metadata = {{"schema", "nsa-golden-1"},
                     {"scope", "attention"},
                     {"l", "4"},
                     {"d", "2"},
                     {"l_sel", "4"},
                     {"n", "3"},
                     {"w", "4"}};
    file.tensors = {{"q", tensor(Element::kF32, {1, 2, 3, 4})},
                    {"k", tensor(Element::kF32, {1, 1, 3, 4})},
                    {"v", tensor(Element::kF32, {1, 1, 3, 2})},
                    {"blocks", tensor(Element::kI64, {1, 1, 3, 1})}};
    for (const char* output : {"sliding", "compressed", "selected", "candidate.sliding"})
        file.tensors.emplace(output, tensor(Element::kF64, {1, 2, 3, 2}));
    file.tensors.emplace("d_out", tensor(Element::kF32, {1, 2, 3, 2}));
    file.tensors.emplace("sliding.d_q", tensor(Element::kF64, {1, 2, 3, 4}));
    file.tensors.emplace("sliding.d_k", tensor(Element::kF64, {1, 1, 3, 4}));
    file.tensors.emplace("sliding.d_v", tensor(Element::kF64, {1, 1, 3, 2}));
    return file;
}

Bytes safetensors_of(std::string_view header, std::size_t data_bytes) {
    Bytes bytes;
    for (int i = 0; i < 8; ++i)
        bytes.push_back(static_cast<std::byte>(header.size() >> (8 * i) & 0xFF));
    const Bytes text = bytes_of(header);
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.resize(bytes.size() + data_bytes);
    return bytes;
}

Bytes pt_of(std::string_view pickle, std::size_t storage_bytes) {
    const Bytes storage(storage_bytes);
    const Bytes text = bytes_of(pickle);
    return zip_bytes({{"a/data.pkl", text}, {"a/data/0", storage}});
}

namespace {

template <typename Parse>
std::string fault_of(const Parse& parse, ByteView bytes) {
    try {
        (void)parse(bytes);
        return "read";
    } catch (const InputError& error) {
        return error.what();
    }
}

}  // namespace

std::string fault_of_safetensors(ByteView bytes) {
    return fault_of(parse_safetensors, bytes);
}
std::string fault_of_pt(ByteView bytes) {
    return fault_of(parse_pt, bytes);
}

}  // namespace nsa::core::golden
