// A strict reader of JSON (RFC 8259) for headers of files: no comments, no key twice, bounded depth. LibTorch
// ships no JSON that programs may use, and nsa_core builds with nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nsa::core::golden {

struct Json {
    enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };
    Kind kind = Kind::kNull;
    std::string text;                // of a string its characters in UTF-8, of a number or truth its spelling
    std::vector<std::string> names;  // of an object, in order; values beside them in `items`
    std::vector<Json> items;         // of an array or object

    // A number that is whole and not negative; nothing for anything else.
    [[nodiscard]] std::optional<std::uint64_t> as_count() const;
};

// Throws InputError with the byte at which the text stops being JSON. `most_depth` counts arrays and objects.
[[nodiscard]] Json parse_json(std::string_view text, int most_depth);

}  // namespace nsa::core::golden
