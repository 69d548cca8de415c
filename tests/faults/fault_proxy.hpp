// A TCP relay that breaks on purpose: between nsad and a sshd on loopback. It counts the bytes that go to the
// client (the daemon), so that a connection can be cut at an exact byte.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

namespace nsa::faults {

enum class Cut {
    kReset,      // RST to both ends
    kClose,      // FIN to both ends
    kHalfOpen,   // the server's end is gone; the client is not told, and what it sends vanishes
    kBlackhole,  // both ends stay open; every byte vanishes
};

// Where proxies live: one loop on one thread, ended with the object.
class ProxyThread {
  public:
    ProxyThread();
    ~ProxyThread();
    boost::asio::io_context& io() { return io_; }

  private:
    boost::asio::io_context io_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::thread thread_;
};

// Any thread may call; changes take effect on the proxy's thread, in order.
class FaultProxy {
  public:
    // Relays to 127.0.0.1:target. Must go before its thread does.
    FaultProxy(ProxyThread& thread, int target);
    ~FaultProxy();
    FaultProxy(const FaultProxy&) = delete;
    FaultProxy& operator=(const FaultProxy&) = delete;

    int port() const { return port_; }

    // Once, after so many more bytes to the client, whatever connection they are on; 0: now. A new order
    // replaces one that waits.
    void cut_after(Cut cut, std::uint64_t bytes_to_client);
    void disarm();
    // New connections are reset at once until told otherwise.
    void refuse(bool on);
    // Ends connections that a half-open or blackhole cut left behind.
    void heal();
    // Each chunk to the client waits so long; the rate limits both directions of all connections alike. 0:
    // none.
    void set_delay(std::chrono::milliseconds delay);
    void set_rate(std::uint64_t bytes_per_second);

    int cuts() const;  // that took effect on an open connection
    int connections() const;
    std::uint64_t bytes_to_client() const;

  private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
    int port_ = 0;
};

}  // namespace nsa::faults
