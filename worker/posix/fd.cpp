#include "posix/fd.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace nsa::posix {

void UniqueFd::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

Error errno_error(int error, std::string where) {
    ErrorCode code = ErrorCode::kInternal;
    std::string text = std::generic_category().message(error);
    switch (error) {
        case ENOSPC:
        case EDQUOT:
            code = ErrorCode::kNoSpace;
            text = "the disk is full (ENOSPC): " + text;
            break;
        case ENOENT:
            code = ErrorCode::kNotFound;
            break;
        case EEXIST:
            code = ErrorCode::kConflict;
            break;
        case EACCES:
        case EPERM:
        case EROFS:
            code = ErrorCode::kRefused;
            break;
        case ELOOP:
        case ENOTDIR:
            code = ErrorCode::kRefused;
            text = "a component of the path is a symbolic link or no directory";
            break;
        default:
            break;
    }
    return fail(code, std::move(text), std::move(where));
}

}  // namespace nsa::posix
