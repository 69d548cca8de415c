#include "daemon/state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "system/disk_full.hpp"

namespace nsa::daemon {
namespace {

// " (pid 42)"; empty when it could not be written.
std::string holder_in(int fd) {
    char text[32] = {};
    const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
    const std::string pid(text, size > 0 ? static_cast<std::size_t>(size) : 0);
    return pid.empty() ? "" : " (pid " + pid.substr(0, pid.find('\n')) + ")";
}

}  // namespace

Result<StateLock> StateLock::take(const std::filesystem::path& file) {
    StateLock lock(UniqueFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)));
    const int fd = lock.file_.get();
    if (fd < 0) return fail(ErrorCode::kInternal, std::strerror(errno), "open " + file.string());
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return fail(ErrorCode::kInternal, std::strerror(errno), "lock " + file.string());
        return fail(
            ErrorCode::kConflict,
            "another daemon" + holder_in(fd) +
                " uses this state folder; stop it, or give this one a folder of its own by --state-dir",
            file.parent_path().string());
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    // In place: a block that is given back may be taken by another program when the disk is full. Then it is
    // held without a name.
    const bool written =
        ::pwrite(fd, pid.data(), pid.size(), 0) > 0 && ::ftruncate(fd, static_cast<off_t>(pid.size())) == 0;
    if (!written && !is_disk_full(errno))
        return fail(ErrorCode::kInternal, std::strerror(errno), "write " + file.string());
    return lock;
}

Result<void> make_private_dir(const std::filesystem::path& dir) {
    std::error_code ec;
    std::filesystem::create_directories(dir.parent_path(), ec);
    if (::mkdir(dir.c_str(), 0700) == 0) return {};
    const int error = errno;
    struct stat info {};
    if (error != EEXIST || ::stat(dir.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return fail(is_disk_full(error) ? ErrorCode::kNoSpace : ErrorCode::kInternal, std::strerror(error),
                    "make folder " + dir.string());
    }
    if (info.st_uid != ::geteuid()) {
        return fail(ErrorCode::kRefused,
                    "the folder belongs to another user; give one of your own by --state-dir", dir.string());
    }
    return {};
}

}  // namespace nsa::daemon
