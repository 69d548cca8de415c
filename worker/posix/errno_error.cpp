#include "posix/errno_error.hpp"

#include <cerrno>
#include <system_error>

#include "system/disk_full.hpp"

namespace nsa::posix {

Error errno_error(int error, std::string where) {
    ErrorCode code = ErrorCode::kInternal;
    std::string text = std::generic_category().message(error);
    if (is_disk_full(error)) {
        return fail(ErrorCode::kNoSpace, "the disk is full (ENOSPC): " + text, std::move(where));
    }
    switch (error) {
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
