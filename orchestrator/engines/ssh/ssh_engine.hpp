// Instances reached over SSH. The only face of the only box that knows libssh.
//
// Public-key authentication with the configured key file and nothing else; no user ssh_config, agent,
// password or forwarding. The host key is pinned per instance: an unknown or changed one is refused before
// authentication.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "engines/engine.hpp"
#include "engines/host_key.hpp"

namespace nsa::engines {

struct SshSettings {
    std::filesystem::path worker;                 // the nsa-worker program that is deployed
    std::chrono::milliseconds connect{10'000};    // name, TCP connect
    std::chrono::milliseconds handshake{15'000};  // key exchange and authentication
    std::chrono::milliseconds start{15'000};      // the worker's first byte after its exec
    std::chrono::milliseconds silence{30'000};    // longest pause while the worker binary is pushed
};

// The executor must be served by one thread (or be a strand): a connection's state belongs to it.
std::unique_ptr<Engine> make_ssh_engine(boost::asio::any_io_executor executor, SshSettings settings);

// The key that a host shows, without authenticating: for a person to compare before it is pinned.
boost::asio::awaitable<Result<HostKey>> scan_host_key(std::string host, int port,
                                                      std::chrono::milliseconds timeout);

}  // namespace nsa::engines
