// The listening unix socket: who may connect, and what to do about one that a dead daemon left.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "language/result.hpp"

namespace nsa::api {

// The name of a socket in the file system, and which file it was: only that one is removed later.
struct SocketFile {
    std::filesystem::path path;
    dev_t device = 0;
    ino_t inode = 0;
};

struct Listening {
    int fd = -1;  // bound, listening, close-on-exec, non-blocking; owned by the caller
    SocketFile file;
};

// Mode 0600 from its first moment: the umask of the whole process is changed for the length of the bind, so
// call it before there are other threads. A socket nobody answers on is replaced; kConflict when one answers
// or the path is something else; kUsage when the path does not fit a socket address.
Result<Listening> listen_on(const std::filesystem::path& path);

// Removes the file if it is still the one that was made.
void remove_socket(const SocketFile& file);

// A blocking-free connect. kUnreachable: no file, or nobody listens; kTimeout: its queue is full, try again;
// kRefused: no permission; kUsage: the path does not fit. The descriptor is owned by the caller.
Result<int> connect_to(const std::filesystem::path& path);

// The user at the other end, as the kernel knows it.
Result<uid_t> peer_uid(int fd);

// Our own user and root.
bool may_connect(uid_t peer);

}  // namespace nsa::api
