// UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nsa::language {

struct CodePoint {
    char32_t value = 0;
    std::size_t length = 0;  // in bytes; 0: the text is empty or starts with no well-formed character
};
CodePoint decode_front(std::string_view text);

// Offset of the first byte that is part of no well-formed character; npos: all are.
std::size_t find_invalid_utf8(std::string_view text);
bool is_utf8(std::string_view text);  // a name that is not cannot travel in JSON

// Every byte that is part of no well-formed character becomes U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

// C0, DEL, C1, and the marks that reorder or hide what stands beside them: neither a terminal nor a page must
// get them from a stranger. Line breaks and tabs are among them.
bool is_unsafe_to_show(char32_t character);

}  // namespace nsa::language
