#include "daemon/write_back.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace nsa::daemon {

namespace fs = std::filesystem;

WriteBack::WriteBack(const fs::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

void WriteBack::begin(const fs::path& dir) {
    const std::lock_guard counting(counting_);
    since_.try_emplace(dir, errors_);
}

int WriteBack::sync(const fs::path& dir) {
    begin(dir);
    const std::lock_guard syncing(syncing_);
    const int error = ::syncfs(descriptor_.get()) == 0 ? 0 : errno;
    const std::lock_guard counting(counting_);
    if (error != 0) {
        ++errors_;
        last_error_ = error;
    }
    std::uint64_t& since = since_[dir];
    if (since == errors_) return 0;
    since = errors_;
    return last_error_;
}

void WriteBack::forget(const fs::path& parent) {
    const std::lock_guard counting(counting_);
    std::erase_if(since_, [&parent](const auto& one) { return one.first.parent_path() == parent; });
}

}  // namespace nsa::daemon
