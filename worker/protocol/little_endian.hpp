// Integers of the wire format: little-endian, whatever the host.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace nsa::protocol {

template <std::unsigned_integral T>
void append_le(std::string& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out.push_back(static_cast<char>((value >> (8 * i)) & 0xFFU));
    }
}

// `bytes` holds at least sizeof(T) bytes.
template <std::unsigned_integral T>
T load_le(std::string_view bytes) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<T>(value | (static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i)));
    }
    return value;
}

// Takes one integer off the front of `bytes`; false when too few are left.
template <std::unsigned_integral T>
bool take_le(std::string_view& bytes, T& out) {
    if (bytes.size() < sizeof(T)) return false;
    out = load_le<T>(bytes);
    bytes.remove_prefix(sizeof(T));
    return true;
}

}  // namespace nsa::protocol
