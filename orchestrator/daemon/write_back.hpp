// Brings the file system of the artifacts to the disk, for everybody who writes there. The kernel tells a
// write-back that failed once to each descriptor that was open then, and to none that is opened after
// somebody heard of it: so there is one, open from the start, and a count of its errors says to each writer
// whether one came since its first byte, whoever was told.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>

#include "system/unique_fd.hpp"

namespace nsa::daemon {

class WriteBack {  // any thread
  public:
    explicit WriteBack(const std::filesystem::path& folder);

    // Before the first byte below `dir`. Once more: nothing.
    void begin(const std::filesystem::path& dir);
    // Blocks. 0 when all of it is on the disk and no write-back failed since begin(), else the errno. After
    // that errors count from now: what was written must be read from the disk again.
    int sync(const std::filesystem::path& dir);
    // What is in that folder is written to no more.
    void forget(const std::filesystem::path& parent);

  private:
    UniqueFd descriptor_;
    std::mutex syncing_;  // an error is counted before the next one asks
    std::mutex counting_;
    std::map<std::filesystem::path, std::uint64_t> since_;  // errors that were counted before its first byte
    std::uint64_t errors_ = 0;
    int last_error_ = 0;
};

}  // namespace nsa::daemon
