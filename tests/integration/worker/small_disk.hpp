// A file system of its own that is soon full: a tmpfs, where this process may mount one.
#pragma once

#include <string>

#include "worker_process.hpp"

namespace nsa::test {

class SmallDisk {
  public:
    // options: of tmpfs, "size=16m" or "nr_inodes=40". In a mount namespace of our own, and without the right
    // to mount in a user namespace as well: nothing of it is seen outside, and it goes with this process.
    explicit SmallDisk(const std::string& options);
    ~SmallDisk();
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    // Why there is none; empty: there is.
    const std::string& refused() const { return refused_; }
    const std::filesystem::path& path() const { return dir_.path(); }

  private:
    TempDir dir_;
    std::string refused_;
};

}  // namespace nsa::test
