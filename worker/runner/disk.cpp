#include "runner/disk.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "posix/errno_error.hpp"
#include "system/unique_fd.hpp"

namespace nsa::runner {
namespace {

std::string reserve_name(int index) {
    return journal::kReserveFile + (index == 0 ? std::string{} : "." + std::to_string(index));
}

void remove_reserve(int run_dir) {
    for (int i = 0; i < kReserveInodes; ++i)
        ::unlinkat(run_dir, reserve_name(i).c_str(), 0);
}

}  // namespace

bool has_no_room(int run_dir) {
    constexpr std::uint64_t kLeast = 1U << 20;
    struct statvfs disk {};
    if (::fstatvfs(run_dir, &disk) != 0) return false;
    const bool counts_inodes = disk.f_files > 0;  // some file systems have no fixed number
    return disk.f_bavail * disk.f_frsize < kLeast || (counts_inodes && disk.f_favail == 0);
}

Result<void> take_reserve(int run_dir) {
    remove_reserve(run_dir);  // of a supervisor that died before its first event
    for (int i = 0; i < kReserveInodes; ++i) {
        const UniqueFd file{::openat(run_dir, reserve_name(i).c_str(),
                                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
        int error = file ? 0 : errno;
        if (file && i == 0) {
            error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(kReserveBytes));
        }
        if (error == 0) continue;
        remove_reserve(run_dir);
        return posix::errno_error(error, "reserve space for the last records");
    }
    return {};
}

void release_reserve(int run_dir) {
    failpoint("worker.reserve.before_release");
    remove_reserve(run_dir);
}

}  // namespace nsa::runner
