#include "daemon/disk_reserve.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "system/unique_fd.hpp"

namespace nsa::daemon {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kLargestShare = 16;  // of the file system, one part

std::uint64_t available(const fs::path& folder) {
    std::error_code ec;
    const fs::space_info space = fs::space(folder, ec);
    return ec ? 0 : space.available;
}

}  // namespace

DiskReserve::DiskReserve(fs::path file, std::uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {
    std::error_code ec;
    const fs::space_info space = fs::space(file_.parent_path(), ec);
    if (!ec) bytes_ = std::min<std::uint64_t>(bytes_, space.capacity / kLargestShare);
    // Of a daemon that kept more.
    if (fs::file_size(file_, ec) > bytes_ && !ec) fs::resize_file(file_, bytes_, ec);
    held_ = bytes_ == 0 || allocate();
}

DiskReserve::DiskReserve(DiskReserve&& other) noexcept
    : file_(std::move(other.file_)), bytes_(other.bytes_), held_(other.held_.load()) {}

// Blocks of its own, not a hole: a file of that size without them would keep nothing.
bool DiskReserve::allocate() {
    const UniqueFd file(::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return false;
    if (::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes_)) == 0) return true;
    (void)::ftruncate(file.get(), 0);
    return false;
}

bool DiskReserve::release() {
    if (bytes_ == 0 || !held_.exchange(false)) return false;
    return ::truncate(file_.c_str(), 0) == 0;
}

bool DiskReserve::take() {
    if (held_) return true;
    if (available(file_.parent_path()) < 2 * bytes_ || !allocate()) return false;
    held_ = true;
    return true;
}

}  // namespace nsa::daemon
