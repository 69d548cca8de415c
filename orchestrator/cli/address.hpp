// "root@203.0.113.7:40022". Pure.
#pragma once

#include <string>
#include <string_view>

#include "language/result.hpp"

namespace nsa::cli {

struct Address {
    std::string user, host;
    int port = 22;
    bool operator==(const Address&) const = default;
};

// USER@HOST[:PORT]; an IPv6 host is in brackets: root@[2001:db8::1]:22. kUsage says which part is wrong.
Result<Address> parse_address(std::string_view text);

}  // namespace nsa::cli
