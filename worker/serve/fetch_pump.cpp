#include "serve/fetch_pump.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "posix/files.hpp"
#include "protocol/frame.hpp"

namespace nsa::serve {
namespace {

// Beside its bytes a piece has its path, three sizes and a count.
std::size_t overhead_of(const std::string& path) {
    return 2 + path.size() + 8 + 8 + 4;
}

}  // namespace

bool FetchPump::open_item() {
    const protocol::FetchItem& item = items_[next_];
    const std::size_t slash = item.path.rfind('/');
    const std::string folder = slash == std::string::npos ? std::string{} : item.path.substr(0, slash);
    if (!folder_ || folder != folder_path_) {
        auto opened = posix::open_dir_below(run_dir_.get(), folder, posix::Missing::kFail);
        if (!opened) return false;
        folder_ = std::move(*opened);
        folder_path_ = folder;
    }
    struct stat info {};
    auto file = posix::open_regular(folder_.get(), item.path.substr(slash + 1), &info);
    if (!file) return false;
    file_ = std::move(*file);
    file_size_ = static_cast<std::uint64_t>(info.st_size);
    offset_ = std::min(item.offset, file_size_);
    return true;
}

void FetchPump::leave(bool missing) {
    if (missing) missing_.push_back(items_[next_].path);
    file_.reset();
    ++next_;
}

// False: there is no room for it.
bool FetchPump::append_piece(std::string& payload, std::size_t room) {
    const std::string& path = items_[next_].path;
    const std::uint64_t left = file_size_ - offset_;
    const std::size_t least = overhead_of(path) + (left > 0 ? 1 : 0);
    if (room < least) return false;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, room - overhead_of(path)));
    bytes_.clear();
    const auto read = posix::read_at(file_.get(), offset_, count, bytes_);
    if (!read || *read < count) {
        // It shrank, or the disk fails. For the client it has not come.
        leave(true);
        return true;
    }
    protocol::append_file_piece(payload, {path, file_size_, offset_, bytes_});
    offset_ += count;
    if (offset_ == file_size_) leave(false);
    return true;
}

std::string FetchPump::next(std::uint64_t credit) {
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(credit, protocol::kDataChunk));
    std::string payload;
    payload.reserve(room);
    while (!is_done()) {
        if (!file_ && !open_item()) {
            leave(true);
            continue;
        }
        if (!append_piece(payload, room - payload.size())) break;
    }
    return payload;
}

}  // namespace nsa::serve
