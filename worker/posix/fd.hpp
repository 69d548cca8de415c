// A file descriptor that is owned, and errno as an Error.
#pragma once

#include <string>
#include <utility>

#include "language/result.hpp"

namespace nsa::posix {

class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_{fd} {}
    UniqueFd(UniqueFd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

  private:
    int fd_ = -1;
};

// kNoSpace for a full disk or quota, kNotFound, kConflict (exists), kRefused (permission, symlink, not a
// directory), else kInternal. where: what was attempted, "write runs/r-1.1/plan.json".
Error errno_error(int error, std::string where);

}  // namespace nsa::posix
