// File systems of a trial's own, in a mount namespace that nobody else sees. Needs the right to mount.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace nsa::faults {

// Moves this process, and the children that it starts from now on, into a mount namespace of their own. Once
// is enough. Empty, or why that is not possible here: then what needs mounts was NOT run, and the summary
// says so.
std::string enter_mount_namespace();

// Mounted while the object lives.
class Mount {
  public:
    // Of the given size; throws.
    static Mount tmpfs(const std::filesystem::path& at, std::uint64_t bytes);
    // The file's file system through a loop device; throws.
    static Mount image(const std::filesystem::path& file, const std::filesystem::path& at);
    Mount(Mount&& other) noexcept;
    Mount& operator=(Mount&&) = delete;
    ~Mount();

    const std::filesystem::path& at() const { return at_; }
    // Of an image: the writes that its loop device has done, as the kernel counts them.
    std::uint64_t device_writes() const;

  private:
    explicit Mount(std::filesystem::path at) : at_(std::move(at)) {}
    std::filesystem::path at_;
    std::string device_;  // "loop3"
};

// An empty ext4 file system in a file; throws.
void make_ext4(const std::filesystem::path& file, std::uint64_t bytes);

}  // namespace nsa::faults
