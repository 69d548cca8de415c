#include "posix/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>

#include "language/failpoint.hpp"
#include "posix/errno_error.hpp"

namespace nsa::posix {
namespace {

constexpr int kDirFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

Result<UniqueFd> open_component(int dir, const std::string& name, Missing missing) {
    int fd = ::openat(dir, name.c_str(), kDirFlags);
    if (fd < 0 && errno == ENOENT && missing == Missing::kCreate) {
        if (::mkdirat(dir, name.c_str(), 0755) != 0 && errno != EEXIST)
            return errno_error(errno, "mkdir " + name);
        fd = ::openat(dir, name.c_str(), kDirFlags);
    }
    if (fd < 0) return errno_error(errno, "open folder " + name);
    return UniqueFd{fd};
}

}  // namespace

Result<UniqueFd> open_dir(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno_error(errno, "open folder " + path);
    return UniqueFd{fd};
}

std::vector<std::string> list_dir(int root, std::string_view path) {
    struct Close {
        void operator()(DIR* dir) const { ::closedir(dir); }
    };
    std::vector<std::string> names;
    auto fd = open_dir_below(root, path, Missing::kFail);
    if (!fd) return names;
    const std::unique_ptr<DIR, Close> dir{::fdopendir(fd->release())};
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<UniqueFd> open_dir_below(int root, std::string_view path, Missing missing) {
    // Opened anew: a duplicate would share its reading position with `root` and with every listing before.
    UniqueFd dir{::openat(root, ".", kDirFlags)};
    if (!dir) return errno_error(errno, "open a folder again");
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        auto next = open_component(dir.get(), std::string{path.substr(0, slash)}, missing);
        if (!next) return next.error();
        dir = std::move(*next);
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    return dir;
}

Result<UniqueFd> open_regular(int dir, const std::string& name, struct stat* info) {
    UniqueFd fd{::openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)};
    if (!fd) return errno_error(errno, "open " + name);
    struct stat local {};
    struct stat& stat = info == nullptr ? local : *info;
    if (::fstat(fd.get(), &stat) != 0) return errno_error(errno, "stat " + name);
    if (!S_ISREG(stat.st_mode)) return fail(ErrorCode::kRefused, "is not a regular file", "open " + name);
    return fd;
}

Result<UniqueFd> open_regular_below(int root, std::string_view path, struct stat* info) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return open_regular(root, std::string{path}, info);
    const auto dir = open_dir_below(root, path.substr(0, slash), Missing::kFail);
    if (!dir) return dir.error();
    return open_regular(dir->get(), std::string{path.substr(slash + 1)}, info);
}

Result<std::size_t> read_at(int fd, std::uint64_t offset, std::size_t count, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + count);
    std::size_t done = 0;
    while (done < count) {
        const ssize_t n =
            ::pread(fd, out.data() + before + done, count - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            out.resize(before);
            return errno_error(errno, "read");
        }
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    out.resize(before + done);
    return done;
}

Result<std::string> read_file(int dir, const std::string& name, std::size_t limit) {
    struct stat info {};
    const auto fd = open_regular(dir, name, &info);
    if (!fd) return fd.error();
    std::string bytes;
    const auto size = static_cast<std::size_t>(info.st_size);
    if (size > limit) {
        return fail(ErrorCode::kCorrupt, "is longer than " + std::to_string(limit) + " bytes",
                    "read " + name);
    }
    if (const auto read = read_at(fd->get(), 0, size, bytes); !read) return read.error();
    return bytes;
}

Result<void> write_all(int fd, std::string_view bytes, std::string_view where) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(errno, std::string{where});
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<void> sync_dir(int dir) {
    // Some network file systems refuse fsync of a folder; they have made the rename durable themselves.
    if (::fsync(dir) != 0 && errno != EINVAL && errno != EROFS)
        return errno_error(errno, "fsync of the folder");
    return {};
}

namespace {

std::string unfinished_of(const std::string& name) {
    return "." + name + ".tmp";
}

Result<void> write_once(int dir, const std::string& name, std::string_view bytes, mode_t mode) {
    static std::atomic<unsigned> counter{0};
    const std::string tmp =
        unfinished_of(name) + std::to_string(::getpid()) + "." + std::to_string(counter.fetch_add(1));
    const std::string where = "write " + name;
    UniqueFd fd{::openat(dir, tmp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
    if (!fd) return errno_error(errno, where);
    auto written = write_all(fd.get(), bytes, where);
    if (written && ::fsync(fd.get()) != 0) written = errno_error(errno, where);
    failpoint("worker.file.before_rename");
    if (written && ::renameat(dir, tmp.c_str(), dir, name.c_str()) != 0) written = errno_error(errno, where);
    if (!written) {
        ::unlinkat(dir, tmp.c_str(), 0);
        return written;
    }
    failpoint("worker.file.after_rename");
    return sync_dir(dir);
}

}  // namespace

Result<void> write_file_durably(int dir, const std::string& name, std::string_view bytes, mode_t mode) {
    constexpr int kTries = 3;
    for (int tries = 1;; ++tries) {
        auto written = write_once(dir, name, bytes, mode);
        // A full disk, a name that is taken or a refusal stays; an I/O error may have been one bad moment.
        if (written || written.error().code != ErrorCode::kInternal || tries == kTries) return written;
    }
}

void remove_unfinished(int dir, const std::string& name) {
    for (const auto& entry : list_dir(dir, "")) {
        if (entry.starts_with(unfinished_of(name))) ::unlinkat(dir, entry.c_str(), 0);
    }
}

}  // namespace nsa::posix
