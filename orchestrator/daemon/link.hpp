// The warm connection to one instance: made once, watched by pings, shared by all that is done there.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "daemon/books.hpp"
#include "daemon/task_group.hpp"
#include "engines/worker_client.hpp"
#include "scheduler/event.hpp"

namespace nsa::daemon {

// One connection that is up. Shared by the acts that use it; closed when the link is given up.
struct HostSession {
    engines::WorkerClient client;
    protocol::HelloReply hello;
};

// What a failed connect means for a run that waits for it.
language::Reason reason_of(const Error& error);

// Made by make_shared: its coroutine keeps it alive until it has ended.
class Link : public std::enable_shared_from_this<Link> {
  public:
    struct Parts {
        boost::asio::any_io_executor loop;
        engines::Engine& engine;
        Books& books;
        TaskGroup& tasks;
        std::function<void(scheduler::Event)> emit;
        std::function<double()> jitter;  // in [0, 1)
    };

    Link(Parts parts, engines::InstanceConfig config);
    ~Link();

    // Gives an older connection up and makes a new one. One LinkUp or LinkDown follows, and a LinkDown when
    // it goes down later.
    void connect();
    // Null while it is down.
    std::shared_ptr<HostSession> session() const { return session_; }
    // Somebody met an error: the next ping is now.
    void check();
    void close();

    const engines::InstanceConfig& config() const { return config_; }

  private:
    static boost::asio::awaitable<void> live(std::shared_ptr<Link> self, std::uint64_t generation);
    // Until it is down: why. Nobody hears the answer of an older generation.
    boost::asio::awaitable<Error> hold(std::uint64_t generation);
    boost::asio::awaitable<Result<std::shared_ptr<HostSession>>> open();
    boost::asio::awaitable<Result<std::vector<std::pair<RunId, Attempt>>>> runs_alive(
        std::shared_ptr<HostSession> session);
    boost::asio::awaitable<Error> watch(std::shared_ptr<HostSession> session);
    void went_down(const Error& error);

    Parts parts_;
    engines::InstanceConfig config_;
    std::uint64_t generation_ = 0;  // of connect(): an older attempt ends silently
    std::shared_ptr<HostSession> session_;
    boost::asio::steady_timer next_ping_;
};

}  // namespace nsa::daemon
