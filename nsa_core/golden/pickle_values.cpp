#include "nsa_core/golden/pickle_values.hpp"

#include <array>
#include <cstdio>
#include <optional>

#include "nsa_core/errors.hpp"

namespace nsa::core::golden::pickled {
namespace {

constexpr std::array<std::pair<std::string_view, Element>, 6> kStorages{
    {{"torch DoubleStorage", Element::kF64},
     {"torch FloatStorage", Element::kF32},
     {"torch HalfStorage", Element::kF16},
     {"torch BFloat16Storage", Element::kBf16},
     {"torch LongStorage", Element::kI64},
     {"torch IntStorage", Element::kI32}}};

template <typename Type>
const Type& as(const std::vector<Value>& arena, Index index, const char* what) {
    const Type* value = std::get_if<Type>(&arena[index]);
    if (!value) throw InputError{std::string{"the pickle holds something else where "} + what + " must be"};
    return *value;
}

std::vector<std::int64_t> numbers(const std::vector<Value>& arena, Index index, const char* what) {
    // Bounded before it is copied: a pickle may refer to one tuple, or text, any number of times.
    const std::vector<Index>& items = as<Tuple>(arena, index, what).items;
    if (items.size() > kMostAxes) throw InputError{std::string{what} + " has too many axes"};
    std::vector<std::int64_t> values;
    for (const Index item : items)
        values.push_back(as<std::int64_t>(arena, item, what));
    return values;
}

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
TensorView rebuilt(const std::vector<Value>& arena, const Tuple& arguments) {
    if (arguments.items.size() != 6) throw InputError{"a tensor of the pickle has not its six arguments"};
    const auto& storage = as<Storage>(arena, arguments.items[0], "a tensor's storage");
    return {.element = storage.element,
            .storage = storage.key,
            .storage_elements = storage.elements,
            .offset = as<std::int64_t>(arena, arguments.items[1], "a tensor's offset"),
            .shape = numbers(arena, arguments.items[2], "a tensor's shape"),
            .strides = numbers(arena, arguments.items[3], "a tensor's strides")};
}

std::optional<std::string> spelled_out(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return text->substr(0, kMostMetadataBytes + 1);
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* number = std::get_if<double>(&value)) {
        std::array<char, 40> text{};
        std::snprintf(text.data(), text.size(), "%.17g", *number);
        return text.data();
    }
    return std::nullopt;
}

std::map<std::string, std::string> metadata_of(const std::vector<Value>& arena, const Dict& dict) {
    std::map<std::string, std::string> metadata;
    for (const auto& [key, value] : dict.items) {
        const std::string& name = as<std::string>(arena, key, "a name in __metadata__");
        auto text = spelled_out(arena[value]);
        if (!text) throw InputError{"__metadata__ holds something that is no text, number or truth"};
        add_metadata(metadata, name, std::move(*text));
    }
    return metadata;
}

}  // namespace

Value storage_of(const std::vector<Value>& arena, Index id) {
    const auto& parts = as<Tuple>(arena, id, "a storage's description").items;
    if (parts.size() != 5 || as<std::string>(arena, parts[0], "the word storage") != "storage") {
        throw InputError{"the pickle refers to something outside it that is no storage"};
    }
    const std::string& type = as<Global>(arena, parts[1], "a storage's type").name;
    for (const auto& [name, element] : kStorages) {
        if (name == type) {
            const std::string& key = as<std::string>(arena, parts[2], "a storage's key");
            check_name(key);
            return Storage{.element = element,
                           .key = key,
                           .elements = as<std::int64_t>(arena, parts[4], "a storage's length")};
        }
    }
    throw InputError{"a storage of type " + type +
                     "; Double, Float, Half, BFloat16, Long and Int storages are read"};
}

Value called(const std::vector<Value>& arena, Index function, Index arguments) {
    const std::string& name = as<Global>(arena, function, "the name of a function").name;
    const Tuple& given = as<Tuple>(arena, arguments, "a function's arguments");
    if (name == "collections OrderedDict" && given.items.empty()) return Dict{};
    if (name == "torch._utils _rebuild_tensor_v2") return rebuilt(arena, given);
    // A parameter is its tensor: (tensor, requires_grad, hooks).
    if (name == "torch._utils _rebuild_parameter" && given.items.size() == 3) {
        return as<TensorView>(arena, given.items[0], "a parameter's tensor");
    }
    throw InputError{"the pickle calls " + name +
                     ": only plain tensors, dictionaries, texts and numbers are read"};
}

PickledFile file_of(const std::vector<Value>& arena, Index root) {
    PickledFile file;
    for (const auto& [key, value] : as<Dict>(arena, root, "the dictionary of tensors").items) {
        const std::string& name = as<std::string>(arena, key, "a tensor's name");
        check_name(name);
        if (name == "__metadata__") {
            if (!file.metadata.empty()) throw InputError{"__metadata__ is given twice"};
            file.metadata = metadata_of(arena, as<Dict>(arena, value, "__metadata__, a dictionary"));
            continue;
        }
        const auto* tensor = std::get_if<TensorView>(&arena[value]);
        if (!tensor) throw InputError{name + " is no tensor"};
        if (!file.tensors.emplace(name, *tensor).second)
            throw InputError{"tensor " + name + " is given twice"};
        if (file.tensors.size() > kMostTensors) {
            throw InputError{"more than " + std::to_string(kMostTensors) + " tensors"};
        }
    }
    return file;
}

}  // namespace nsa::core::golden::pickled
