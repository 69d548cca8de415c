// The daemon as an object: nsad is a main() around it, `nsactl run` uses it in-process.
//
//   auto daemon = Daemon::open(io, config);           // locks the state folder, opens the store, re-adopts
//   runs
//   ... io.run(), or calls of (*daemon)->service() ...
//   (*daemon)->shut_down(5s);                         // runs the loop to the end of its own tasks
//
// Everything happens on the thread that runs `io`, but SQLite and file work, which have a thread each behind
// co_await. Runs on hosts are not touched by a shutdown: the next daemon adopts them.
#pragma once

#include <chrono>
#include <memory>

#include "daemon/config.hpp"
#include "language/result.hpp"

namespace boost::asio {
class io_context;
}
namespace nsa::api {
class Service;
}

namespace nsa::daemon {

class Daemon {
  public:
    // kConflict: another daemon has the state folder (its pid is named). `io` must outlive the object.
    static Result<std::unique_ptr<Daemon>> open(boost::asio::io_context& io, Config config);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    api::Service& service();

    // Call with `io` not running. Stops the API, closes the links, finishes what is being written. False when
    // something did not end within the limit (it is in the log): leave the process then.
    bool shut_down(std::chrono::milliseconds limit);

  private:
    struct Impl;
    explicit Daemon(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::daemon
