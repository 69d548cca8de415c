// One HTTP exchange over a unix socket: connect, ask, read the answer, close.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>

#include "api/http.hpp"
#include "language/result.hpp"

namespace nsa::api {

// kUnreachable: nobody listens, or it went away before it answered; kTimeout: the deadline, which covers
// everything; kRefused: no permission; kProtocol: the answer is not HTTP.
boost::asio::awaitable<Result<HttpResponse>> exchange(std::filesystem::path socket, HttpRequest request,
                                                      std::chrono::milliseconds deadline);

}  // namespace nsa::api
