#include "language/json_text.hpp"

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <string>

namespace nsa::language {

namespace json = boost::json;

namespace {

// Builds the value; numbers with a fraction or exponent are taken from their text.
struct ExactHandler {
    static constexpr std::size_t max_object_size = json::object::max_size();
    static constexpr std::size_t max_array_size = json::array::max_size();
    static constexpr std::size_t max_key_size = json::string::max_size();
    static constexpr std::size_t max_string_size = json::string::max_size();

    json::value_stack stack;
    std::string number;

    using Code = boost::system::error_code;
    bool on_document_begin(Code&) { return true; }
    bool on_document_end(Code&) { return true; }
    bool on_object_begin(Code&) { return true; }
    bool on_object_end(std::size_t count, Code&) {
        stack.push_object(count);
        return true;
    }
    bool on_array_begin(Code&) { return true; }
    bool on_array_end(std::size_t count, Code&) {
        stack.push_array(count);
        return true;
    }
    bool on_key_part(std::string_view part, std::size_t, Code&) {
        stack.push_chars(part);
        return true;
    }
    bool on_key(std::string_view part, std::size_t, Code&) {
        stack.push_key(part);
        return true;
    }
    bool on_string_part(std::string_view part, std::size_t, Code&) {
        stack.push_chars(part);
        return true;
    }
    bool on_string(std::string_view part, std::size_t, Code&) {
        stack.push_string(part);
        return true;
    }
    bool on_number_part(std::string_view part, Code&) {
        number += part;
        return true;
    }
    bool on_int64(std::int64_t value, std::string_view, Code&) {
        number.clear();
        stack.push_int64(value);
        return true;
    }
    bool on_uint64(std::uint64_t value, std::string_view, Code&) {
        number.clear();
        stack.push_uint64(value);
        return true;
    }
    bool on_double(double rounded, std::string_view part, Code&) {
        number += part;
        double exact = rounded;
        const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), exact);
        // Out of range: the parser's own answer (infinity or zero) stands.
        stack.push_double(failed == std::errc{} && end == number.data() + number.size() ? exact : rounded);
        number.clear();
        return true;
    }
    bool on_bool(bool value, Code&) {
        stack.push_bool(value);
        return true;
    }
    bool on_null(Code&) {
        stack.push_null();
        return true;
    }
    bool on_comment_part(std::string_view, Code&) { return true; }
    bool on_comment(std::string_view, Code&) { return true; }
};

}  // namespace

Result<json::value> parse_json(std::string_view text) {
    json::basic_parser<ExactHandler> parser{json::parse_options{}};
    parser.handler().stack.reset();
    boost::system::error_code failed;
    const std::size_t used = parser.write_some(false, text.data(), text.size(), failed);
    if (!failed && used < text.size()) failed = json::error::extra_data;
    if (failed) {
        return fail(ErrorCode::kCorrupt, "not JSON: " + failed.message(), "byte " + std::to_string(used + 1));
    }
    return parser.handler().stack.release();
}

}  // namespace nsa::language
