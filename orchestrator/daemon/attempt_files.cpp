#include "daemon/attempt_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "language/event.hpp"
#include "language/hash.hpp"

namespace nsa::daemon {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kReadChunk = 256U << 10;

Error system_error(int error, const fs::path& path) {
    const bool full = error == ENOSPC || error == EDQUOT;
    return fail(full ? ErrorCode::kNoSpace : ErrorCode::kInternal,
                full ? "the disk of this host is full; free some space there" : std::strerror(error),
                path.string());
}

class OwnedFd {
  public:
    explicit OwnedFd(int fd) : fd_(fd) {}
    ~OwnedFd() {
        if (fd_ >= 0) ::close(fd_);
    }
    OwnedFd(const OwnedFd&) = delete;
    OwnedFd& operator=(const OwnedFd&) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

Error unsafe(std::string_view path) {
    return fail(ErrorCode::kProtocol, "the worker named a file that leaves its run directory",
                std::string(path));
}

}  // namespace

fs::path attempt_dir(const fs::path& artifacts, const RunId& run, Attempt attempt) {
    return artifacts / run.value / std::to_string(attempt.value);
}

Result<int> AttemptFiles::open_for_writing(std::string_view path, int flags) {
    if (!language::is_safe_relative_path(path)) return unsafe(path);
    const fs::path file = dir_ / path;
    const std::string parent = file.parent_path().string();
    if (!known_dirs_.contains(parent)) {
        std::error_code ec;
        fs::create_directories(parent, ec);
        if (ec) return system_error(ec.value(), parent);
        known_dirs_.insert(parent);
    }
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
    if (fd < 0) return system_error(errno, file);
    return fd;
}

Result<void> AttemptFiles::write_at(std::string_view path, std::uint64_t offset, std::string_view bytes) {
    const Result<int> opened = open_for_writing(path, 0);
    if (!opened) return opened.error();
    const OwnedFd fd(*opened);
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(errno, dir_ / path);
        offset += static_cast<std::uint64_t>(n);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<void> AttemptFiles::truncate(std::string_view path) {
    const Result<int> opened = open_for_writing(path, O_TRUNC);
    if (!opened) return opened.error();
    ::close(*opened);
    return {};
}

std::uint64_t AttemptFiles::size_of(std::string_view path) const {
    struct stat info {};
    const bool regular = ::lstat((dir_ / path).c_str(), &info) == 0 && S_ISREG(info.st_mode);
    return regular ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::map<std::string, std::uint64_t> AttemptFiles::log_sizes() const {
    std::map<std::string, std::uint64_t> sizes;
    std::error_code ec;
    for (const fs::directory_entry& folder : fs::directory_iterator(dir_ / "steps", ec)) {
        for (const char* stream : {"stdout", "stderr"}) {
            const std::string path = "steps/" + folder.path().filename().string() + "/" + stream;
            if (const std::uint64_t size = size_of(path); size > 0) sizes[path] = size;
        }
    }
    return sizes;
}

Result<std::string> AttemptFiles::read_at(std::string_view path, std::uint64_t offset,
                                          std::size_t limit) const {
    const fs::path file = dir_ / path;
    const OwnedFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0) {
        if (errno == ENOENT) return std::string{};
        return system_error(errno, file);
    }
    std::string bytes(limit, '\0');
    std::size_t have = 0;
    while (have < limit) {
        const ssize_t n =
            ::pread(fd.get(), bytes.data() + have, limit - have, static_cast<off_t>(offset + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(errno, file);
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
    }
    bytes.resize(have);
    return bytes;
}

Result<store::ArtifactRow> AttemptFiles::describe(const std::string& path) const {
    const fs::path file = dir_ / path;
    const OwnedFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0 && errno == ENOENT) return fail(ErrorCode::kNotFound, "no such file", file.string());
    if (fd.get() < 0) return system_error(errno, file);
    store::ArtifactRow row{.path = path, .size = 0, .sha256 = {}};
    Sha256Hasher hasher;
    std::string buffer(kReadChunk, '\0');
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(errno, file);
        if (n == 0) break;
        hasher.update(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
        row.size += static_cast<std::uint64_t>(n);
    }
    row.sha256 = hasher.finish();
    return row;
}

Result<std::vector<store::ArtifactRow>> AttemptFiles::describe_all() const {
    std::vector<store::ArtifactRow> rows;
    std::error_code ec;
    for (fs::recursive_directory_iterator at(dir_ / "steps", ec), end; !ec && at != end; at.increment(ec)) {
        if (!at->is_regular_file(ec) || at->is_symlink(ec)) continue;
        Result<store::ArtifactRow> row = describe(at->path().lexically_relative(dir_).string());
        if (!row) return row.error();
        rows.push_back(std::move(*row));
    }
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return rows;
}

Result<void> AttemptFiles::sync() const {
    const OwnedFd fd(::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return system_error(errno, dir_);
    if (::syncfs(fd.get()) != 0) return system_error(errno, dir_);
    return {};
}

}  // namespace nsa::daemon
