#include "api/unix_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace nsa::api {
namespace {

std::optional<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Error does_not_fit(const std::string& path) {
    return fail(ErrorCode::kUsage,
                "a socket path has 1 to " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                    " bytes; choose a shorter --socket or NSA_STATE_DIR",
                "socket " + path);
}

Error system_error(ErrorCode code, std::string_view what, const std::string& path) {
    const int number = errno;
    return fail(code, std::string(what) + ": " + std::strerror(number), "socket " + path);
}

int stream_socket() {
    return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

// Makes way for a new socket: removes one that nobody answers on.
Result<void> clear_path(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return {};
        return system_error(ErrorCode::kInternal, "cannot look at it", path);
    }
    if (!S_ISSOCK(found.st_mode))
        return fail(ErrorCode::kConflict, "the path exists and is not a socket; remove it or choose another",
                    "socket " + path);
    const auto connected = connect_to(path);
    if (connected) ::close(*connected);
    if (connected || connected.error().code == ErrorCode::kTimeout)
        return fail(ErrorCode::kConflict, "another nsad is serving it", "socket " + path);
    if (connected.error().code != ErrorCode::kUnreachable) return connected.error();
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return system_error(ErrorCode::kInternal, "cannot remove the one that a dead nsad left", path);
    return {};
}

}  // namespace

Result<Listening> listen_on(const std::filesystem::path& path) {
    const std::string name = path.string();
    const auto address = address_of(name);
    if (!address) return does_not_fit(name);
    if (const auto cleared = clear_path(name); !cleared) return cleared.error();
    const int fd = stream_socket();
    if (fd < 0) return system_error(ErrorCode::kInternal, "cannot make a socket", name);
    const mode_t before = ::umask(0177);
    const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
    const int bind_errno = errno;
    ::umask(before);
    struct stat made {};
    if (bound != 0) errno = bind_errno;
    if (bound != 0 || ::listen(fd, SOMAXCONN) != 0 || ::lstat(name.c_str(), &made) != 0) {
        const ErrorCode code = errno == EADDRINUSE ? ErrorCode::kConflict : ErrorCode::kInternal;
        const Error error = system_error(code, "cannot listen", name);
        ::close(fd);
        return error;
    }
    return Listening{fd, SocketFile{path, made.st_dev, made.st_ino}};
}

void remove_socket(const SocketFile& file) {
    struct stat found {};
    if (::lstat(file.path.c_str(), &found) == 0 && found.st_dev == file.device && found.st_ino == file.inode)
        ::unlink(file.path.c_str());
}

Result<int> connect_to(const std::filesystem::path& path) {
    const std::string name = path.string();
    const auto address = address_of(name);
    if (!address) return does_not_fit(name);
    const int fd = stream_socket();
    if (fd < 0) return system_error(ErrorCode::kInternal, "cannot make a socket", name);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) return fd;
    ErrorCode code = ErrorCode::kInternal;
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) code = ErrorCode::kUnreachable;
    if (errno == EAGAIN) code = ErrorCode::kTimeout;  // not EINPROGRESS: a unix socket connects at once
    if (errno == EACCES || errno == EPERM) code = ErrorCode::kRefused;
    const Error error = system_error(code, "cannot connect", name);
    ::close(fd);
    return error;
}

Result<uid_t> peer_uid(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return fail(ErrorCode::kInternal, std::string("SO_PEERCRED: ") + std::strerror(errno), "API peer");
    return peer.uid;
}

bool may_connect(uid_t peer) {
    return peer == ::geteuid() || peer == 0;
}

}  // namespace nsa::api
