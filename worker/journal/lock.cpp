#include "journal/lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "posix/errno_error.hpp"

namespace nsa::journal {
namespace {

struct flock whole_file() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

}  // namespace

Result<UniqueFd> try_lock(int run_dir, const char* name) {
    UniqueFd file{::openat(run_dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
    const std::string where = std::string{"lock "} + name;
    if (!file) return posix::errno_error(errno, where);
    struct flock lock = whole_file();
    if (::fcntl(file.get(), F_OFD_SETLK, &lock) == 0) return file;
    if (errno == EAGAIN || errno == EACCES)
        return fail(ErrorCode::kConflict, "is held by another process", where);
    return posix::errno_error(errno, where);
}

bool is_locked(int run_dir, const char* name) {
    const UniqueFd file{::openat(run_dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
    struct flock lock = whole_file();
    return file && ::fcntl(file.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace nsa::journal
