#include <utility>

#include "serve/serve.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <functional>

#include "serve/session.hpp"

namespace nsa::serve {
namespace {

namespace net = boost::asio;

// Supervisors and probes that end are reaped; their end is read from their files and pipes.
void reap_children(net::signal_set& signals) {
    signals.async_wait([&signals](boost::system::error_code stopped, int) {
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        if (!stopped) reap_children(signals);
    });
}

Result<void> assign(net::posix::stream_descriptor& stream, int fd, const char* name) {
    boost::system::error_code failed;
    // epoll refuses regular files: an orchestrator always gives pipes or sockets.
    stream.assign(fd, failed);
    if (failed) return fail(ErrorCode::kUsage, "must be a pipe or a socket: " + failed.message(), name);
    return {};
}

// Calls `gone` once the client has shown no sign of life for `limit`. A link whose other end vanished may
// look open for hours; the orchestrator pings every few seconds.
void watch_client(net::steady_timer& timer, const Session& session, std::chrono::milliseconds limit,
                  std::function<void()> gone) {
    timer.expires_at(session.alive_at() + limit);
    timer.async_wait(
        [&timer, &session, limit, gone = std::move(gone)](boost::system::error_code stopped) mutable {
            if (stopped) return;
            if (std::chrono::steady_clock::now() >= session.alive_at() + limit) return gone();
            watch_client(timer, session, limit, std::move(gone));
        });
}

}  // namespace

Result<void> serve(ServeOptions options) {
    ::signal(SIGPIPE, SIG_IGN);  // a client that went away is a write error
    auto home = Home::open(options.home);
    if (!home) return home.error();

    net::io_context context{1};
    net::posix::stream_descriptor in{context}, out{context};
    if (auto assigned = assign(in, STDIN_FILENO, "stdin"); !assigned) return assigned;
    if (auto assigned = assign(out, STDOUT_FILENO, "stdout"); !assigned) return assigned;
    net::signal_set children{context, SIGCHLD};
    reap_children(children);

    Session session{context, std::move(*home), std::move(options.version), std::move(options.supervisor)};
    bool framing_held = true;
    net::steady_timer last_words{context};
    const auto on_read_end = [&](std::exception_ptr failed, bool held) {
        framing_held = !failed && held;
        session.outbox().close();
        // What was asked before the end is answered, if the client still takes it; nothing new is made.
        constexpr std::chrono::seconds kFlushTime{2};
        last_words.expires_after(kFlushTime);
        last_words.async_wait([&context](boost::system::error_code) { context.stop(); });
    };
    net::co_spawn(context, session.read_from(in), on_read_end);
    net::co_spawn(context, session.outbox().write_to(out),
                  [&context](std::exception_ptr) { context.stop(); });
    bool client_gone = false;
    net::steady_timer silence{context};
    watch_client(silence, session, options.client_silence, [&] {
        client_gone = true;
        context.stop();
    });
    context.run();
    // These descriptors are the process's own stdio; closing them is left to its end.
    in.release();
    out.release();
    if (client_gone) {
        return fail(
            ErrorCode::kTimeout,
            "the client showed no sign of life for " + std::to_string(options.client_silence.count()) + " ms",
            "stdin");
    }
    if (!framing_held) return fail(ErrorCode::kProtocol, "the client broke the framing", "stdin");
    return {};
}

}  // namespace nsa::serve
