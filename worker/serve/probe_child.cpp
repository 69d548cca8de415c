#include <utility>

#include "serve/probe_child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "posix/errno_error.hpp"
#include "posix/spawn.hpp"
#include "probe/probe.hpp"

namespace nsa::serve {
namespace {

namespace net = boost::asio;

// More than the sum of the deadlines inside.
constexpr std::chrono::seconds kDeadline{45};
constexpr std::size_t kLongest = 1U << 20;

}  // namespace

net::awaitable<Result<protocol::ProbeReply>> probe_in_child(const Home& home) {
    const auto executor = co_await net::this_coro::executor;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) co_return posix::errno_error(errno, "pipe");
    net::posix::stream_descriptor output{executor, ends[0]};
    UniqueFd write_end{ends[1]};
    posix::SpawnRequest request;
    request.program = "/proc/self/exe";
    request.argv = {"nsa-worker", "probe", "--json", "--home", home.path()};
    request.environment = posix::own_environment();
    request.cwd = "/";
    request.stdout_fd = write_end.get();
    const auto pid = posix::spawn(request);
    if (!pid) co_return pid.error();
    write_end.reset();

    net::steady_timer deadline{executor, kDeadline};
    bool late = false;
    deadline.async_wait([&output, &late](boost::system::error_code stopped) {
        if (stopped) return;
        late = true;
        output.cancel();
    });
    std::string text;
    auto buffer = net::dynamic_buffer(text, kLongest);
    // Ends with the pipe's end, which is an "error"; what matters is what was read.
    co_await net::async_read(output, buffer, net::as_tuple(net::use_awaitable));
    deadline.cancel();
    ::kill(-*pid, SIGKILL);  // it has ended, or must; the session reaps it
    if (late) co_return fail(ErrorCode::kTimeout, "the probe did not end in time", "probe");
    auto facts = probe::facts_from_json(text);
    if (!facts) co_return facts.error();
    co_return protocol::ProbeReply{std::move(*facts)};
}

}  // namespace nsa::serve
