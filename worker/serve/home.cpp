#include "serve/home.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>

#include "journal/run_dir.hpp"
#include "posix/errno_error.hpp"
#include "posix/files.hpp"
#include "posix/identity.hpp"
#include "protocol/frame.hpp"

namespace nsa::serve {
namespace {

constexpr const char* kTmpFolder = "tmp";

// Uploads of another `serve` may be under way; a day-old one is not.
void clear_old_files(int dir) {
    constexpr std::time_t kDay = 24 * 3600;
    const std::time_t oldest = std::time(nullptr) - kDay;
    for (const auto& name : posix::list_dir(dir, "")) {
        struct stat info {};
        if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
            info.st_mtime < oldest) {
            ::unlinkat(dir, name.c_str(), 0);
        }
    }
}

}  // namespace

Result<Home> Home::open(const std::string& path) {
    std::error_code failed;
    std::filesystem::create_directories(path, failed);
    if (failed) return fail(ErrorCode::kRefused, "cannot be made: " + failed.message(), path);
    Home home;
    home.path_ = std::filesystem::canonical(path, failed);
    if (failed) return fail(ErrorCode::kRefused, failed.message(), path);
    auto fd = posix::open_dir(home.path_);
    if (!fd) return fd.error();
    home.fd_ = std::move(*fd);
    // Specs, logs and programs that we will execute: nobody else's business.
    if (::fchmod(home.fd_.get(), 0700) != 0) return posix::errno_error(errno, "make private " + home.path_);
    auto runs = posix::open_dir_below(home.fd_.get(), journal::kRunsFolder, posix::Missing::kCreate);
    if (!runs) return runs.error();
    auto tmp = posix::open_dir_below(home.fd_.get(), kTmpFolder, posix::Missing::kCreate);
    if (!tmp) return tmp.error();
    home.runs_ = std::move(*runs);
    home.tmp_ = std::move(*tmp);
    clear_old_files(home.tmp_.get());
    return home;
}

std::string Home::run_path(const protocol::RunKey& run) const {
    return path_ + "/" + std::string{journal::kRunsFolder} + "/" + journal::folder_of(run);
}

Result<UniqueFd> Home::open_run(const protocol::RunKey& run) const {
    return posix::open_dir_below(runs_.get(), journal::folder_of(run), posix::Missing::kFail);
}

protocol::HelloReply Home::facts(std::string worker_version) const {
    protocol::HelloReply reply;
    reply.protocol = protocol::kProtocolVersion;
    reply.worker_version = std::move(worker_version);
    reply.hostname = posix::host_name();
    reply.boot_id = posix::boot_id();
    reply.home = path_;
    struct statvfs disk {};
    if (::fstatvfs(fd_.get(), &disk) == 0) {
        reply.disk_free_bytes = disk.f_bavail * disk.f_frsize;
        reply.inodes_free = disk.f_favail;
    }
    return reply;
}

}  // namespace nsa::serve
