#include "runner/disk.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "posix/fd.hpp"

namespace nsa::runner {

bool is_disk_full(int run_dir) {
    constexpr std::uint64_t kLeast = 1U << 20;
    struct statvfs disk {};
    if (::fstatvfs(run_dir, &disk) != 0) return false;
    const bool counts_inodes = disk.f_files > 0;  // some file systems have no fixed number
    return disk.f_bavail * disk.f_frsize < kLeast || (counts_inodes && disk.f_favail == 0);
}

Result<void> take_reserve(int run_dir) {
    const posix::UniqueFd file{
        ::openat(run_dir, journal::kReserveFile, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file) return posix::errno_error(errno, "reserve space for the last records");
    const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(kReserveBytes));
    if (error == 0) return {};
    release_reserve(run_dir);
    return posix::errno_error(error, "reserve space for the last records");
}

void release_reserve(int run_dir) {
    failpoint("worker.reserve.before_release");
    ::unlinkat(run_dir, journal::kReserveFile, 0);
}

}  // namespace nsa::runner
