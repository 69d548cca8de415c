// UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nsa::api {

// Bytes of the well-formed character that `text` starts with; 0: none.
std::size_t utf8_length(std::string_view text);

// Every byte that is part of no well-formed character becomes U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

// Offset of the first byte that is part of no well-formed character; npos: all are.
std::size_t find_invalid_utf8(std::string_view text);

}  // namespace nsa::api
