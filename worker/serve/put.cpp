#include "serve/put.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "posix/errno_error.hpp"
#include "posix/files.hpp"

namespace nsa::serve {
namespace {

Result<void> check_place(const std::string& path) {
    const std::string_view first = std::string_view{path}.substr(0, path.find('/'));
    if (first == journal::kRunsFolder) {
        return fail(ErrorCode::kRefused, "run directories are made by launch, nothing is put there",
                    "put " + path);
    }
    return {};
}

std::string folder_part(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string{} : path.substr(0, slash);
}

std::string name_part(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

Result<bool> is_there(const Home& home, const protocol::Put& put) {
    if (const auto allowed = check_place(put.path); !allowed) return allowed.error();
    struct stat info {};
    const auto file = posix::open_regular_below(home.fd(), put.path, &info);
    if (!file && file.error().code == ErrorCode::kNotFound) return false;
    if (!file) return file.error();
    const bool executable = (info.st_mode & S_IXUSR) != 0;
    if (static_cast<std::uint64_t>(info.st_size) != put.size || executable != put.executable) return false;
    Sha256Hasher hasher;
    std::string chunk;
    for (std::uint64_t done = 0; done < put.size; done += chunk.size()) {
        chunk.clear();
        const auto count =
            posix::read_at(file->get(), done, std::min<std::uint64_t>(put.size - done, 1U << 20), chunk);
        if (!count) return count.error();
        if (*count == 0) return false;  // it shrank meanwhile
        hasher.update(chunk);
    }
    return hasher.finish() == put.sha256;
}

Result<Upload> Upload::begin(const Home& home, protocol::Put put, std::uint64_t number) {
    if (const auto allowed = check_place(put.path); !allowed) return allowed.error();
    Upload upload{home};
    upload.tmp_name_ = "put-" + std::to_string(::getpid()) + "-" + std::to_string(number);
    upload.put_ = std::move(put);
    upload.file_.reset(::openat(home.tmp(), upload.tmp_name_.c_str(),
                                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!upload.file_) return posix::errno_error(errno, "put " + upload.put_.path);
    return upload;
}

Upload::~Upload() {
    if (file_) ::unlinkat(home_->tmp(), tmp_name_.c_str(), 0);
}

Result<void> Upload::write(std::string_view bytes) {
    const std::string where = "put " + put_.path;
    if (bytes.size() > put_.size - received_) {
        return fail(ErrorCode::kProtocol,
                    "more data came than the " + std::to_string(put_.size) + " bytes announced", where);
    }
    if (auto written = posix::write_all(file_.get(), bytes, where); !written) return written;
    hasher_.update(bytes);
    received_ += bytes.size();
    return {};
}

Result<void> Upload::finish() {
    const std::string where = "put " + put_.path;
    if (const Sha256 hash = hasher_.finish(); hash != put_.sha256) {
        return fail(ErrorCode::kCorrupt,
                    "the bytes hash to " + hash.value + ", announced was " + put_.sha256.value, where);
    }
    if (::fchmod(file_.get(), put_.executable ? 0755 : 0644) != 0 || ::fsync(file_.get()) != 0) {
        return posix::errno_error(errno, where);
    }
    const auto folder = posix::open_dir_below(home_->fd(), folder_part(put_.path), posix::Missing::kCreate);
    if (!folder) return fail(folder.error().code, folder.error().text, where);
    failpoint("worker.put.before_rename");
    if (::renameat(home_->tmp(), tmp_name_.c_str(), folder->get(), name_part(put_.path).c_str()) != 0) {
        return posix::errno_error(errno, where);
    }
    file_.reset();
    failpoint("worker.put.after_rename");
    return posix::sync_dir(folder->get());
}

}  // namespace nsa::serve
