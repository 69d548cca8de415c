// One daemon per state folder.
#pragma once

#include <filesystem>
#include <utility>

#include "language/result.hpp"
#include "system/unique_fd.hpp"

namespace nsa::daemon {

// Holds nsad.lock by flock for its life; the kernel lets go of it when the process dies, however it dies.
class StateLock {
  public:
    // kConflict names the pid of the daemon that has it, where the disk had room for that.
    static Result<StateLock> take(const std::filesystem::path& file);

  private:
    explicit StateLock(UniqueFd file) : file_(std::move(file)) {}
    UniqueFd file_;
};

// The folder with mode 0700. kRefused when it belongs to another user.
Result<void> make_private_dir(const std::filesystem::path& dir);

}  // namespace nsa::daemon
