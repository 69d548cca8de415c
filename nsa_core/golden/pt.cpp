#include "nsa_core/golden/pt.hpp"

#include <algorithm>
#include <cstring>

#include "nsa_core/errors.hpp"
#include "nsa_core/golden/pickle.hpp"
#include "nsa_core/golden/zip.hpp"

namespace nsa::core::golden {
namespace {

std::string_view characters(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Members by their names below the one folder that holds them all.
std::map<std::string, ByteView> members_of(ByteView bytes) {
    std::map<std::string, ByteView> members;
    for (const auto& [path, content] : zip_members(bytes)) {
        const std::size_t slash = path.find('/');
        if (slash == std::string::npos || !members.emplace(path.substr(slash + 1), content).second) {
            throw InputError{"member " + path +
                             " does not lie in one folder with the others, as torch.save writes"};
        }
    }
    return members;
}

ByteView member(const std::map<std::string, ByteView>& members, const std::string& name) {
    const auto found = members.find(name);
    if (found == members.end()) throw InputError{"the archive has no " + name + ": it is not torch.save's"};
    return found->second;
}

void check_byte_order(const std::map<std::string, ByteView>& members) {
    const auto found = members.find("byteorder");  // older versions of torch write none
    if (found != members.end() && characters(found->second) != "little") {
        throw InputError{"its numbers are not little-endian"};
    }
}

// The last element of a view that is not empty must lie in its storage. Throws InputError.
void check_reach(const std::string& name, const TensorView& view) {
    const auto elements = static_cast<std::uint64_t>(view.storage_elements);
    auto last = static_cast<std::uint64_t>(view.offset);
    bool inside = last < elements;
    for (std::size_t axis = 0; inside && axis < view.shape.size(); ++axis) {
        const auto steps = static_cast<std::uint64_t>(view.shape[axis] - 1);
        const auto stride = static_cast<std::uint64_t>(view.strides[axis]);
        // Division instead of a product that could wrap around.
        inside = stride == 0 || steps <= (elements - 1 - last) / stride;
        if (inside) last += steps * stride;
    }
    if (!inside) throw InputError{"tensor " + name + " reaches beyond its storage"};
}

// The storage of the view, which it is seen to fit. Throws InputError.
ByteView storage_of(const std::string& name, const TensorView& view,
                    const std::map<std::string, ByteView>& members) {
    const ByteView storage = member(members, "data/" + view.storage);
    const bool negative = view.offset < 0 || view.storage_elements < 0 ||
                          std::any_of(view.strides.begin(), view.strides.end(), [](auto s) { return s < 0; });
    if (negative || view.shape.size() != view.strides.size()) {
        throw InputError{"tensor " + name +
                         " has a negative offset or stride, or not one stride for each axis"};
    }
    const std::size_t elements = storage.size() / size_of(view.element);
    if (static_cast<std::uint64_t>(view.storage_elements) != elements ||
        storage.size() % size_of(view.element) != 0) {
        throw InputError{"tensor " + name + ": its storage is said to have " +
                         std::to_string(view.storage_elements) + " elements and has " +
                         std::to_string(storage.size()) + " bytes"};
    }
    return storage;
}

// Copies the view row by row; `bytes` has its size already.
void gather(const TensorView& view, ByteView storage, Bytes& bytes) {
    const std::size_t width = size_of(view.element);
    std::vector<std::int64_t> index(view.shape.size());
    auto at = static_cast<std::uint64_t>(view.offset);
    for (std::size_t out = 0; out < bytes.size(); out += width) {
        std::memcpy(bytes.data() + out, storage.data() + at * width, width);
        for (std::size_t axis = view.shape.size(); axis-- > 0;) {
            const auto stride = static_cast<std::uint64_t>(view.strides[axis]);
            at += stride;
            if (++index[axis] < view.shape[axis]) break;
            at -= stride * static_cast<std::uint64_t>(view.shape[axis]);
            index[axis] = 0;
        }
    }
}

StoredTensor stored(const std::string& name, const TensorView& view,
                    const std::map<std::string, ByteView>& members, std::size_t& bytes_left) {
    const ByteView storage = storage_of(name, view, members);
    StoredTensor tensor{.element = view.element, .shape = view.shape, .bytes = {}};
    // A view that repeats its storage (stride 0) could be larger than any memory.
    const std::size_t count = byte_count(name, view.element, view.shape, storage.size());
    if (count > bytes_left) {
        throw InputError{"tensor " + name +
                         ": the tensors share storages and need more bytes than the file has; "
                         "save clones"};
    }
    bytes_left -= count;
    if (count == 0) return tensor;
    check_reach(name, view);
    tensor.bytes.resize(count);
    gather(view, storage, tensor.bytes);
    return tensor;
}

std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape) {
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t stride = 1;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        strides[axis] = stride;
        stride *= std::max<std::int64_t>(shape[axis], 1);
    }
    return strides;
}

ByteView bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

}  // namespace

TensorFile parse_pt(ByteView bytes) {
    const std::map<std::string, ByteView> members = members_of(bytes);
    check_byte_order(members);
    PickledFile pickled = parse_pickle(member(members, "data.pkl"));
    TensorFile file{.metadata = std::move(pickled.metadata), .tensors = {}};
    std::size_t bytes_left = bytes.size();
    for (const auto& [name, view] : pickled.tensors)
        file.tensors.emplace(name, stored(name, view, members, bytes_left));
    return file;
}

Bytes pt_bytes(const TensorFile& file) {
    PickledFile pickled{.metadata = file.metadata, .tensors = {}};
    std::vector<std::pair<std::string, ByteView>> members{{"archive/data.pkl", {}},
                                                          {"archive/byteorder", bytes_of("little")},
                                                          {"archive/version", bytes_of("3\n")}};
    for (const auto& [name, tensor] : file.tensors) {
        const std::string key = std::to_string(pickled.tensors.size());
        pickled.tensors.emplace(name, TensorView{.element = tensor.element,
                                                 .storage = key,
                                                 .storage_elements = static_cast<std::int64_t>(
                                                     tensor.bytes.size() / size_of(tensor.element)),
                                                 .offset = 0,
                                                 .shape = tensor.shape,
                                                 .strides = contiguous_strides(tensor.shape)});
        members.emplace_back("archive/data/" + key, tensor.bytes);
    }
    const Bytes pickle = pickle_bytes(pickled);
    members.front().second = pickle;
    return zip_bytes(members);
}

}  // namespace nsa::core::golden
