// Values of a pickle while it is read, in one arena: they refer to one another by index, so that nothing
// nests, shares or cycles in memory whatever the pickle says. Private to golden/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "nsa_core/golden/pickle.hpp"

namespace nsa::core::golden::pickled {

using Index = std::size_t;

struct None {};
struct Global {
    std::string name;  // "torch FloatStorage", module and name
};
struct Tuple {
    std::vector<Index> items;
};
struct Dict {
    std::vector<std::pair<Index, Index>> items;
};
struct Storage {
    Element element;
    std::string key;
    std::int64_t elements;
};

using Value =
    std::variant<None, bool, std::int64_t, double, std::string, Global, Tuple, Dict, Storage, TensorView>;

// The dictionary of tensors and metadata that the value at `root` must be. Throws InputError.
[[nodiscard]] PickledFile file_of(const std::vector<Value>& arena, Index root);

// What calling `function` with `arguments` stands for. Throws InputError for all but the known ones.
[[nodiscard]] Value called(const std::vector<Value>& arena, Index function, Index arguments);

// The storage that a persistent id names. Throws InputError.
[[nodiscard]] Value storage_of(const std::vector<Value>& arena, Index id);

}  // namespace nsa::core::golden::pickled
