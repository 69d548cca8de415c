// From an HTTP request to a call of the service and back (docs/api.md lists the routes). Knows no socket.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>

#include "api/http.hpp"
#include "api/service.hpp"

namespace nsa::api {

// The HTTP status of an error: 404 kNotFound, 409 kConflict, ...
int http_status_of(ErrorCode code);

// {code, text, where} with its status.
HttpResponse error_response(const Error& error);

struct WaitLimits {
    std::chrono::milliseconds longest{60'000};  // a request may ask for more; it gets this
    // The service waits this long at a time, then `wanted` is asked: a peer that went away or a server that
    // stops frees a waiting request without cancelling anything inside the service.
    std::chrono::milliseconds slice{1'000};
};

class Router {
  public:
    // The service must outlive every awaitable of handle().
    explicit Router(Service& service, WaitLimits limits = {}) : service_(service), limits_(limits) {}

    // Never throws: an exception of the service is a 500.
    boost::asio::awaitable<HttpResponse> handle(HttpRequest request, std::function<bool()> wanted);

  private:
    Service& service_;
    WaitLimits limits_;
};

}  // namespace nsa::api
