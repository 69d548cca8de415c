// Request targets: "/v1/runs/r-1/log?case=step%5BS%3D512%5D" to checked parts and back. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "language/result.hpp"

namespace nsa::api {

struct Target {
    std::vector<std::string> path;             // decoded segments: {"v1", "runs", "r-1", "log"}
    std::map<std::string, std::string> query;  // decoded
    bool operator==(const Target&) const = default;
};

// kUsage: no leading '/', a broken percent escape, a NUL, an empty segment or a query key given twice.
Result<Target> parse_target(std::string_view text);

// Everything but [A-Za-z0-9._~-] as %XX.
std::string percent_encode(std::string_view text);

// A whole number of the query; `fallback` when the key is missing. kUsage names the key.
Result<std::uint64_t> query_number(const Target& target, const std::string& key, std::uint64_t fallback);

}  // namespace nsa::api
