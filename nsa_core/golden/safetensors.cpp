#include "nsa_core/golden/safetensors.hpp"

#include <algorithm>
#include <cstring>

#include "nsa_core/errors.hpp"
#include "nsa_core/golden/json.hpp"
#include "nsa_core/tools/results.hpp"

namespace nsa::core::golden {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr int kHeaderDepth = 3;  // the header, a tensor's entry, its shape
constexpr std::string_view kMetadata = "__metadata__";

// Where a tensor says that its bytes lie, from the first byte behind the header.
struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string tensor;
};

std::string_view characters(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ByteView header_of(ByteView bytes) {
    if (bytes.size() < kLengthBytes) throw InputError{"the file ends within the header's length"};
    std::uint64_t length = 0;
    for (std::size_t i = kLengthBytes; i-- > 0;)
        length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    const std::size_t left = bytes.size() - kLengthBytes;
    if (length > left) {
        throw InputError{"the header says it is " + std::to_string(length) + " bytes long and " +
                         std::to_string(left) + " are left: truncated, or no safetensors file"};
    }
    if (length > kMostHeaderBytes) {
        throw InputError{"the header is " + std::to_string(length) + " bytes long; at most " +
                         std::to_string(kMostHeaderBytes) + " are read"};
    }
    return bytes.subspan(kLengthBytes, length);
}

const Json& member(const std::string& tensor, const Json& entry, std::string_view name) {
    const auto found = std::find(entry.names.begin(), entry.names.end(), name);
    if (found == entry.names.end()) {
        throw InputError{"tensor " + tensor + " has no " + std::string{name}};
    }
    return entry.items[static_cast<std::size_t>(found - entry.names.begin())];
}

std::vector<std::int64_t> counts(const std::string& tensor, const Json& array, const char* what) {
    std::vector<std::int64_t> values;
    for (const Json& item : array.items) {
        const auto count = item.as_count();
        if (!count || *count > INT64_MAX)
            values.push_back(-1);
        else
            values.push_back(static_cast<std::int64_t>(*count));
    }
    const bool whole = std::none_of(values.begin(), values.end(), [](std::int64_t v) { return v < 0; });
    if (array.kind != Json::Kind::kArray || !whole) {
        throw InputError{"tensor " + tensor + ": " + what + " is no list of whole numbers"};
    }
    return values;
}

Range range_of(const std::string& tensor, const Json& entry, std::size_t data_bytes) {
    const auto offsets = counts(tensor, member(tensor, entry, "data_offsets"), "data_offsets");
    const auto most = static_cast<std::int64_t>(data_bytes);
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > most) {
        throw InputError{"tensor " + tensor + ": its data_offsets do not lie within the " +
                         std::to_string(data_bytes) + " bytes behind the header"};
    }
    return {static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(offsets[1]), tensor};
}

StoredTensor tensor_of(const std::string& name, const Json& entry, const Range& range, ByteView data) {
    const Json& dtype = member(name, entry, "dtype");
    const auto element = element_named(dtype.text);
    if (dtype.kind != Json::Kind::kString || !element) {
        throw InputError{"tensor " + name + " is of dtype " + tools::json_text(dtype.text) +
                         "; F64, F32, F16, BF16, I64 and I32 are read"};
    }
    StoredTensor tensor{
        .element = *element, .shape = counts(name, member(name, entry, "shape"), "shape"), .bytes = {}};
    const std::size_t wanted = byte_count(name, *element, tensor.shape, data.size());
    if (wanted != range.end - range.begin) {
        throw InputError{"tensor " + name + ": its shape needs " + std::to_string(wanted) +
                         " bytes and its data_offsets span " + std::to_string(range.end - range.begin)};
    }
    const ByteView bytes = data.subspan(range.begin, wanted);
    tensor.bytes.assign(bytes.begin(), bytes.end());
    return tensor;
}

void check_tiling(std::vector<Range> ranges, std::size_t data_bytes) {
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    std::size_t covered = 0;
    for (const Range& range : ranges) {
        if (range.begin != covered) {
            throw InputError{
                "tensor " + range.tensor +
                (range.begin < covered ? " overlaps the one before it" : " leaves a hole before it")};
        }
        covered = range.end;
    }
    if (covered != data_bytes) {
        throw InputError{std::to_string(data_bytes - covered) + " bytes at the end belong to no tensor"};
    }
}

std::map<std::string, std::string> metadata_of(const Json& entry) {
    std::map<std::string, std::string> metadata;
    if (entry.kind != Json::Kind::kObject) throw InputError{"__metadata__ is no object"};
    for (std::size_t i = 0; i < entry.names.size(); ++i) {
        if (entry.items[i].kind != Json::Kind::kString) {
            throw InputError{"__metadata__ holds something that is no text: safetensors knows texts only"};
        }
        add_metadata(metadata, entry.names[i], entry.items[i].text);
    }
    return metadata;
}

void check_entry(const std::string& tensor, const Json& entry) {
    check_name(tensor);
    if (entry.kind != Json::Kind::kObject) throw InputError{"tensor " + tensor + ": its entry is no object"};
    if (entry.names.size() != 3) {
        throw InputError{"tensor " + tensor + ": its entry is not dtype, shape and data_offsets alone"};
    }
}

}  // namespace

TensorFile parse_safetensors(ByteView bytes) {
    const ByteView header = header_of(bytes);
    const ByteView data = bytes.subspan(kLengthBytes + header.size());
    const Json root = parse_json(characters(header), kHeaderDepth);
    if (root.kind != Json::Kind::kObject) throw InputError{"the header is no object"};
    if (root.names.size() > kMostTensors) {
        throw InputError{"more than " + std::to_string(kMostTensors) + " tensors"};
    }
    TensorFile file;
    std::vector<Range> ranges;
    for (std::size_t i = 0; i < root.names.size(); ++i) {
        const std::string& name = root.names[i];
        const Json& entry = root.items[i];
        if (name == kMetadata) {
            file.metadata = metadata_of(entry);
            continue;
        }
        check_entry(name, entry);
        ranges.push_back(range_of(name, entry, data.size()));
    }
    check_tiling(ranges, data.size());  // before anything is copied: all of it together is one file's size
    for (const Range& range : ranges) {
        const auto i = std::find(root.names.begin(), root.names.end(), range.tensor) - root.names.begin();
        file.tensors.emplace(range.tensor,
                             tensor_of(range.tensor, root.items[static_cast<std::size_t>(i)], range, data));
    }
    return file;
}

Bytes safetensors_bytes(const TensorFile& file) {
    std::string header = "{\"__metadata__\":{";
    bool first = true;
    for (const auto& [name, value] : file.metadata) {
        header += (first ? "" : ",") + tools::json_text(name) + ":" + tools::json_text(value);
        first = false;
    }
    header += "}";
    std::size_t offset = 0;
    for (const auto& [tensor, stored] : file.tensors) {
        std::string shape;
        for (const std::int64_t axis : stored.shape)
            shape += (shape.empty() ? "" : ",") + std::to_string(axis);
        header += "," + tools::json_text(tensor) + ":{\"dtype\":\"" + std::string{name(stored.element)} +
                  "\",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(offset) + "," +
                  std::to_string(offset + stored.bytes.size()) + "]}";
        offset += stored.bytes.size();
    }
    header += "}";
    header.append((8 - header.size() % 8) % 8, ' ');  // so that the tensors begin aligned

    Bytes bytes;
    bytes.reserve(kLengthBytes + header.size() + offset);
    for (std::size_t i = 0; i < kLengthBytes; ++i)
        bytes.push_back(static_cast<std::byte>(header.size() >> (8 * i) & 0xFF));
    for (const char c : header)
        bytes.push_back(static_cast<std::byte>(c));
    for (const auto& [tensor, stored] : file.tensors)
        bytes.insert(bytes.end(), stored.bytes.begin(), stored.bytes.end());
    return bytes;
}

}  // namespace nsa::core::golden
