// A TCP connection with a deadline over both the name look-up and the connect.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>

#include "language/result.hpp"
#include "system/unique_fd.hpp"

namespace nsa::engines {

boost::asio::awaitable<Result<UniqueFd>> connect_tcp(std::string host, int port,
                                                     std::chrono::milliseconds limit, std::string where);

}  // namespace nsa::engines
