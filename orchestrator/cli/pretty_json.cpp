#include "cli/pretty_json.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "language/json_text.hpp"
#include "language/text.hpp"

namespace nsa::cli {
namespace {

namespace json = boost::json;

// Boost.JSON writes 0.84 as 8.4E-1.
std::string scalar(const json::value& value) {
    return value.is_double() ? language::format_number(value.get_double()) : json::serialize(value);
}

bool fits_a_line(const json::array& array) {
    constexpr std::size_t kMost = 80;
    std::size_t length = 0;
    for (const json::value& item : array) {
        if (item.is_structured()) return false;
        length += scalar(item).size() + 2;
    }
    return length <= kMost;
}

void print(std::string& out, const json::value& value, std::size_t depth) {
    const std::string line = "\n" + std::string(2 * (depth + 1), ' ');
    const std::string last_line = "\n" + std::string(2 * depth, ' ');
    const char* separator = "";
    if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
        out += '{';
        for (const json::key_value_pair& entry : *object) {
            out += separator + line + json::serialize(entry.key()) + ": ";
            print(out, entry.value(), depth + 1);
            separator = ",";
        }
        out += last_line + "}";
    } else if (const json::array* array = value.if_array(); array != nullptr && !fits_a_line(*array)) {
        out += '[';
        for (const json::value& item : *array) {
            out += separator + line;
            print(out, item, depth + 1);
            separator = ",";
        }
        out += last_line + "]";
    } else if (array != nullptr) {
        out += '[';
        for (const json::value& item : *array) {
            out += separator + scalar(item);
            separator = ", ";
        }
        out += ']';
    } else {
        out += scalar(value);
    }
}

}  // namespace

std::string pretty_json(std::string_view text) {
    std::string out;
    print(out, language::parse_json(text).value(), 0);
    return out;
}

}  // namespace nsa::cli
