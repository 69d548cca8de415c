#include "daemon/attempt_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>

#include "language/event.hpp"
#include "language/hash.hpp"
#include "system/disk_full.hpp"

namespace nsa::daemon {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kReadChunk = 256U << 10;

Error system_error(int error, const fs::path& path) {
    const bool full = is_disk_full(error);
    return fail(full ? ErrorCode::kNoSpace : ErrorCode::kInternal,
                full ? "the disk of this host is full; free some space there" : std::strerror(error),
                path.string());
}

Error unsafe(std::string_view path) {
    return fail(ErrorCode::kProtocol, "the worker named a file that leaves its run directory",
                std::string(path));
}

}  // namespace

fs::path attempt_dir(const fs::path& artifacts, const RunId& run, Attempt attempt) {
    return artifacts / run.value / std::to_string(attempt.value);
}

Result<int> AttemptFiles::folder(std::string_view path) {
    if (const auto known = folders_.find(path); known != folders_.end()) return known->second.get();
    const fs::path full = dir_ / path;
    std::error_code ec;
    fs::create_directories(full, ec);
    if (ec) return system_error(ec.value(), full);
    UniqueFd opened(::open(full.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!opened) return system_error(errno, full);
    // A run with thousands of cases must not hold thousands of descriptors.
    constexpr std::size_t kMostOpen = 64;
    if (folders_.size() >= kMostOpen) folders_.clear();
    return folders_.emplace(std::string(path), std::move(opened)).first->second.get();
}

Result<UniqueFd> AttemptFiles::open_for_writing(std::string_view path, int flags) {
    if (!language::is_safe_relative_path(path)) return unsafe(path);
    const std::size_t slash = path.rfind('/');
    const bool nested = slash != std::string_view::npos;
    const Result<int> parent = folder(nested ? path.substr(0, slash) : std::string_view{});
    if (!parent) return parent.error();
    if (!std::exchange(wrote_, true)) write_back_.begin(dir_);
    const std::string name(nested ? path.substr(slash + 1) : path);
    UniqueFd file(::openat(*parent, name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0644));
    if (!file) return system_error(errno, dir_ / path);
    return file;
}

Result<void> AttemptFiles::write_bytes(const UniqueFd& file, std::string_view path, std::uint64_t offset,
                                       std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(errno, dir_ / path);
        offset += static_cast<std::uint64_t>(n);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<void> AttemptFiles::write_at(std::string_view path, std::uint64_t offset, std::string_view bytes) {
    const Result<UniqueFd> file = open_for_writing(path, 0);
    if (!file) return file.error();
    return write_bytes(*file, path, offset, bytes);
}

Result<UniqueFd> AttemptFiles::create(std::string_view path) {
    return open_for_writing(path, O_TRUNC);
}

Result<UniqueFd> AttemptFiles::resume(std::string_view path) {
    return open_for_writing(path, 0);
}

std::map<std::string, std::uint64_t> AttemptFiles::sizes() const {
    std::map<std::string, std::uint64_t> sizes;
    for (const char* part : {"setup", "steps"}) {
        std::error_code ec;
        for (fs::recursive_directory_iterator at(dir_ / part, ec), end; !ec && at != end; at.increment(ec)) {
            std::error_code unreadable;
            const bool regular = at->symlink_status(unreadable).type() == fs::file_type::regular;
            const std::uint64_t size = regular ? at->file_size(unreadable) : 0;
            if (regular && !unreadable) sizes[at->path().lexically_relative(dir_).string()] = size;
        }
    }
    return sizes;
}

std::map<std::string, std::uint64_t> AttemptFiles::log_sizes() const {
    std::map<std::string, std::uint64_t> logs = sizes();
    std::erase_if(logs, [](const auto& one) {
        return !one.first.ends_with("/stdout") && !one.first.ends_with("/stderr");
    });
    return logs;
}

Result<std::string> AttemptFiles::read_at(std::string_view path, std::uint64_t offset,
                                          std::size_t limit) const {
    const fs::path file = dir_ / path;
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) {
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
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) return fail(ErrorCode::kNotFound, "no such file", file.string());
    if (!fd) return system_error(errno, file);
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
    for (const auto& [path, size] : sizes()) {
        Result<store::ArtifactRow> row = describe(path);
        if (!row) return row.error();
        rows.push_back(std::move(*row));
    }
    return rows;
}

void AttemptFiles::sync_ahead() {
    using namespace std::chrono_literals;
    if (ahead_.valid() && ahead_.wait_for(0s) != std::future_status::ready) return;
    settle();
    if (!wrote_ || sync_failed_ != 0) return;
    try {
        ahead_ = std::async(std::launch::async, [this] { return write_back_.sync(dir_); });
    } catch (const std::system_error&) {  // no thread to be had: sync() does it all
    }
}

void AttemptFiles::settle() {
    if (ahead_.valid()) note_sync(ahead_.get());
}

Result<void> AttemptFiles::sync() {
    settle();
    if (sync_failed_ == 0) note_sync(write_back_.sync(dir_));
    if (sync_failed_ != 0) return system_error(sync_failed_, dir_);
    return {};
}

void AttemptFiles::note_sync(int error) {
    if (error == 0) return;
    sync_failed_ = error;
    for (const auto& [path, size] : sizes()) {
        const UniqueFd fd(::open((dir_ / path).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (fd) ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
}

}  // namespace nsa::daemon
