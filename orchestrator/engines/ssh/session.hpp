// One SSH connection: libssh driven by Asio, never blocking, with one exec channel.
//
// libssh is told to answer SSH_AGAIN; who gets that waits for the socket and asks again. All calls on the one
// executor. The socket is made by Asio (no blocking name look-up) and given to libssh, which closes it; a
// duplicate of it is watched.
#pragma once

#include <libssh/libssh.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "engines/engine.hpp"
#include "engines/host_key.hpp"
#include "system/unique_fd.hpp"

namespace nsa::engines {

// When a phase must be over, and its name for the message when it is not.
struct Phase {
    std::string name;  // "the key exchange"
    std::chrono::steady_clock::time_point deadline;

    Phase(std::string phase, std::chrono::milliseconds limit)
        : name(std::move(phase)), deadline(std::chrono::steady_clock::now() + limit) {}
};

class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(boost::asio::any_io_executor executor, std::string where);
    ~Session();

    // Takes a connected TCP socket. where_ says "instance a100 (10.0.0.7:22)".
    Result<void> adopt(UniqueFd socket, const std::string& host, int port);
    // Key exchange; the key that the host proved to own. preferred: the pinned type, or empty.
    boost::asio::awaitable<Result<HostKey>> exchange_keys(std::string preferred, Phase phase);
    // Public key, nothing else.
    boost::asio::awaitable<Result<void>> authenticate(std::string user, std::string key_file, Phase phase);
    // Opens the channel and starts the command on it.
    boost::asio::awaitable<Result<void>> execute(std::string command, Phase phase);

    // Waits for the socket (readable when asked for, writable when libssh has bytes to send), for wake(), or
    // the deadline. One waiter at a time.
    boost::asio::awaitable<void> wait(bool for_reading, std::chrono::steady_clock::time_point deadline);
    void wake() { wake_.cancel(); }
    void close();

    ssh_session handle() const { return session_.get(); }
    ssh_channel channel() const { return channel_; }
    // Bytes taken off the socket so far.
    std::uint64_t received() const { return raw_.in_bytes; }
    const std::string& where() const { return where_; }
    Error broken(const std::string& what, ErrorCode code = ErrorCode::kUnreachable) const;
    boost::asio::any_io_executor executor() const { return executor_; }

  private:
    struct FreeSession {
        void operator()(ssh_session session) const { ssh_free(session); }
    };
    using Wait = boost::asio::posix::stream_descriptor::wait_type;

    // Repeats a libssh call for as long as it answers `again`.
    template <class Call>
    boost::asio::awaitable<Result<int>> repeat(Call call, int again, Phase phase);
    Result<void> set_options(const std::string& host, int port);
    void watch(Wait what, bool& watching);
    void acknowledge_at_once();

    boost::asio::any_io_executor executor_;
    std::string where_;
    std::unique_ptr<ssh_session_struct, FreeSession> session_;
    ssh_channel channel_ = nullptr;  // owned; freed before the session
    ssh_counter_struct raw_{};
    boost::asio::posix::stream_descriptor watched_;
    boost::asio::steady_timer wake_;
    bool watching_read_ = false, watching_write_ = false, closed_ = false;
};

}  // namespace nsa::engines
