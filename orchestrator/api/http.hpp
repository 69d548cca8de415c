// An HTTP exchange as values: the router and the client's calls know these, only two .cpp files know Beast.
#pragma once

#include <string>

namespace nsa::api {

struct HttpRequest {
    std::string method = "GET";
    std::string target;  // "/v1/runs?limit=20", percent-encoded
    std::string content_type;
    std::string body;
    bool operator==(const HttpRequest&) const = default;
};

inline constexpr char kJsonType[] = "application/json";
inline constexpr char kBytesType[] = "application/octet-stream";

struct HttpResponse {
    int status = 200;
    std::string content_type = kJsonType;
    std::string body;
    // Of a log chunk, whose body is its bytes; empty: not a log chunk.
    std::string attempt, next_offset, complete;
    std::string allow;  // with 405: the methods that the route has
    bool operator==(const HttpResponse&) const = default;
};

}  // namespace nsa::api
