// Room that is kept for bad days: a file beside the database that is given back to a full disk, so that what
// runs already can still be recorded to its end. Taken again by itself when there is space.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>

namespace nsa::daemon {

class DiskReserve {
  public:
    // `bytes`: at most a sixteenth of the file system; 0: there is no reserve, and release() never helps.
    // Takes it at once when there is room.
    DiskReserve(std::filesystem::path file, std::uint64_t bytes);
    DiskReserve(DiskReserve&& other) noexcept;
    DiskReserve& operator=(DiskReserve&&) = delete;

    // Whether new work may be taken: the reserve is there, or none is kept. Any thread.
    bool held() const { return held_; }
    // Gives it to the disk. False when it was given already: nothing more can be done here.
    bool release();
    // Takes it when the disk has room for it twice. True when it is held afterwards.
    bool take();

  private:
    bool allocate();

    std::filesystem::path file_;
    std::uint64_t bytes_ = 0;
    std::atomic<bool> held_{false};
};

}  // namespace nsa::daemon
