#include "engine_ssh/session.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsa::engines {
namespace asio = boost::asio;
namespace {

using Clock = std::chrono::steady_clock;

// Only AES-GCM (the fast ones on x86, and out of Terrapin's reach) and curve25519.
constexpr const char* kCiphers = "aes128-gcm@openssh.com,aes256-gcm@openssh.com";
constexpr const char* kKeyExchange = "curve25519-sha256,curve25519-sha256@libssh.org";
constexpr std::string_view kHostKeyAlgorithms =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256";

// The preferred type first, then all: a host that has changed its key to another type is seen as changed,
// with the new key's fingerprint, and not as one that speaks no common language.
std::string host_key_algorithms(const std::string& preferred) {
    if (preferred.empty()) return std::string{kHostKeyAlgorithms};
    const std::string first = preferred == "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : preferred;
    return first + "," + std::string{kHostKeyAlgorithms};
}

struct FreeKey {
    void operator()(ssh_key key) const { ssh_key_free(key); }
};
using Key = std::unique_ptr<ssh_key_struct, FreeKey>;

struct FreeText {
    void operator()(char* text) const { ssh_string_free_char(text); }
};
using Text = std::unique_ptr<char, FreeText>;

Result<HostKey> shown_key(const Session& session) {
    ssh_key raw = nullptr;
    if (ssh_get_server_publickey(session.handle(), &raw) != SSH_OK) {
        return session.broken("the host showed no key", ErrorCode::kProtocol);
    }
    const Key key{raw};
    char* encoded = nullptr;
    if (ssh_pki_export_pubkey_base64(key.get(), &encoded) != SSH_OK) {
        return session.broken("the host's key cannot be read", ErrorCode::kProtocol);
    }
    const Text text{encoded};
    const char* type = ssh_key_type_to_char(ssh_key_type(key.get()));
    return parse_host_key(std::string{type == nullptr ? "" : type} + " " + text.get());
}

Result<Key> load_key(const std::string& file, const std::string& where) {
    ssh_key key = nullptr;
    const int rc = ssh_pki_import_privkey_file(file.c_str(), nullptr, nullptr, nullptr, &key);
    if (rc == SSH_OK) return Key{key};
    return fail(ErrorCode::kAuthRefused,
                rc == SSH_EOF ? "the key file " + file + " cannot be read"
                              : "the key file " + file + " is no private key without passphrase",
                where);
}

}  // namespace

Session::Session(asio::any_io_executor executor, std::string where)
    : executor_(executor),
      where_(std::move(where)),
      session_(ssh_new()),
      watched_(executor),
      wake_(executor) {
    if (!session_) throw std::bad_alloc{};
    ssh_set_blocking(session_.get(), 0);
    ssh_set_counters(session_.get(), nullptr, &raw_);
}

Session::~Session() {
    close();
}

void Session::close() {
    if (std::exchange(closed_, true)) return;
    boost::system::error_code ignored;
    watched_.close(ignored);
    if (channel_ != nullptr) ssh_channel_free(std::exchange(channel_, nullptr));
    ssh_disconnect(session_.get());
    wake_.cancel();
}

Error Session::broken(const std::string& what, ErrorCode code) const {
    const std::string detail = ssh_get_error(session_.get());
    return fail(code, detail.empty() ? what : what + ": " + detail, where_);
}

Result<void> Session::adopt(UniqueFd socket, const std::string& host, int port) {
    // libssh sets no options on a socket that it was given. Without NODELAY a warm exec takes 44 ms, not 3.
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    const int watched = ::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0);
    if (watched < 0) return fail(ErrorCode::kInternal, "out of file descriptors", where_);
    watched_.assign(watched);
    if (const Result<void> set = set_options(host, port); !set) return set.error();
    const socket_t fd = socket.release();
    if (ssh_options_set(session_.get(), SSH_OPTIONS_FD, &fd) != SSH_OK) {
        ::close(fd);
        return broken("libssh refuses the socket", ErrorCode::kInternal);
    }
    return {};
}

Result<void> Session::set_options(const std::string& host, int port) {
    // No file of this user's takes part: neither ssh_config (it can start programs) nor known_hosts (the pin
    // rules).
    const int no_config = 0;
    const auto set = [&](ssh_options_e option, const void* value) {
        return ssh_options_set(session_.get(), option, value) == SSH_OK;
    };
    const bool ok = set(SSH_OPTIONS_PROCESS_CONFIG, &no_config) && set(SSH_OPTIONS_HOST, host.c_str()) &&
                    set(SSH_OPTIONS_PORT, &port) && set(SSH_OPTIONS_KNOWNHOSTS, "/dev/null") &&
                    set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") &&
                    set(SSH_OPTIONS_CIPHERS_C_S, kCiphers) && set(SSH_OPTIONS_CIPHERS_S_C, kCiphers) &&
                    set(SSH_OPTIONS_KEY_EXCHANGE, kKeyExchange);
    if (!ok) return broken("libssh refuses an option", ErrorCode::kInternal);
    return {};
}

void Session::watch(Wait what, bool& watching) {
    if (std::exchange(watching, true)) return;
    watched_.async_wait(what, [self = shared_from_this(), &watching](boost::system::error_code) {
        watching = false;
        self->wake();
    });
}

asio::awaitable<void> Session::wait(bool for_reading, Clock::time_point deadline) {
    if (closed_) co_return;
    if (for_reading) watch(Wait::wait_read, watching_read_);
    if ((ssh_get_poll_flags(session_.get()) & SSH_WRITE_PENDING) != 0)
        watch(Wait::wait_write, watching_write_);
    wake_.expires_at(deadline);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
}

// The kernel delays our acknowledgement by 40 ms where sshd's Nagle waits for it: until the first session
// request. The option does not stick, so it is set again before every wait of the handshake.
void Session::acknowledge_at_once() {
    const int on = 1;
    ::setsockopt(watched_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

template <class Call>
asio::awaitable<Result<int>> Session::repeat(Call call, int again, Phase phase) {
    for (;;) {
        if (closed_) co_return fail(ErrorCode::kUnreachable, "closed during " + phase.name, where_);
        const int rc = call();
        if (rc != again) co_return rc;
        if (Clock::now() >= phase.deadline) {
            co_return fail(ErrorCode::kTimeout, "the host did not get through " + phase.name + " in time",
                           where_);
        }
        acknowledge_at_once();
        co_await wait(true, phase.deadline);
    }
}

asio::awaitable<Result<HostKey>> Session::exchange_keys(std::string preferred, Phase phase) {
    const std::string algorithms = host_key_algorithms(preferred);
    if (ssh_options_set(session_.get(), SSH_OPTIONS_HOSTKEYS, algorithms.c_str()) != SSH_OK) {
        co_return broken("libssh refuses the host key type " + preferred, ErrorCode::kInternal);
    }
    const ssh_session session = session_.get();
    const auto connect = [session] { return ssh_connect(session); };
    const Result<int> rc = co_await repeat(connect, SSH_AGAIN, phase);
    if (!rc) co_return rc.error();
    if (*rc != SSH_OK) {
        const bool no_match =
            std::string_view{ssh_get_error(session)}.find("no match") != std::string_view::npos;
        co_return broken("the key exchange failed", no_match ? ErrorCode::kRefused : ErrorCode::kUnreachable);
    }
    co_return shown_key(*this);
}

asio::awaitable<Result<void>> Session::authenticate(std::string user, std::string key_file, Phase phase) {
    const Result<Key> key = load_key(key_file, where_);
    if (!key) co_return key.error();
    const ssh_session session = session_.get();
    const ssh_key raw = key->get();
    if (ssh_options_set(session, SSH_OPTIONS_USER, user.c_str()) != SSH_OK) {
        co_return broken("libssh refuses the user " + user, ErrorCode::kUsage);
    }
    const auto authenticate = [session, raw] { return ssh_userauth_publickey(session, nullptr, raw); };
    const Result<int> rc = co_await repeat(authenticate, SSH_AUTH_AGAIN, phase);
    if (!rc) co_return rc.error();
    if (*rc == SSH_AUTH_SUCCESS) co_return Result<void>{};
    if (*rc == SSH_AUTH_ERROR) co_return broken("the connection ended during authentication");
    co_return fail(ErrorCode::kAuthRefused,
                   *rc == SSH_AUTH_PARTIAL
                       ? "the host wants more than a public key, and nothing else is offered"
                       : "the host does not accept the key " + key_file + " for user " + user +
                             "; its public half belongs into that user's ~/.ssh/authorized_keys",
                   where_);
}

asio::awaitable<Result<void>> Session::execute(std::string command, Phase phase) {
    channel_ = ssh_channel_new(session_.get());
    if (channel_ == nullptr) co_return broken("no channel", ErrorCode::kInternal);
    const ssh_channel channel = channel_;
    const auto open = [channel] { return ssh_channel_open_session(channel); };
    const Result<int> opened = co_await repeat(open, SSH_AGAIN, phase);
    if (!opened) co_return opened.error();
    if (*opened != SSH_OK) co_return broken("the host opens no session");
    const auto start = [channel, &command] { return ssh_channel_request_exec(channel, command.c_str()); };
    const Result<int> started = co_await repeat(start, SSH_AGAIN, phase);
    if (!started) co_return started.error();
    if (*started != SSH_OK) co_return broken("the host starts no command", ErrorCode::kRefused);
    co_return Result<void>{};
}

}  // namespace nsa::engines
