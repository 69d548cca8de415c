#include "volume.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "process.hpp"
#include "system/unique_fd.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const std::string& what) {
    throw std::runtime_error{what + ": " + std::strerror(errno)};
}

// A free loop device, bound to the file and freed by the kernel with its last user. Another process may take
// a free one first: then the next.
std::string bind_loop(const fs::path& file, UniqueFd& keep) {
    const UniqueFd backing{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
    const UniqueFd control{::open("/dev/loop-control", O_RDWR | O_CLOEXEC)};
    if (!backing || !control) refuse("loop device for " + file.string());
    constexpr int kTries = 20;
    for (int i = 0; i < kTries; ++i) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) refuse("no free loop device");
        const std::string name = "loop" + std::to_string(number);
        UniqueFd device{::open(("/dev/" + name).c_str(), O_RDWR | O_CLOEXEC)};
        if (!device) refuse("/dev/" + name);
        loop_config config{};
        config.fd = static_cast<unsigned>(backing.get());
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
            keep = std::move(device);
            return name;
        }
        if (errno != EBUSY) refuse("loop device for " + file.string());
    }
    throw std::runtime_error{"every loop device is taken"};
}

}  // namespace

std::string enter_mount_namespace() {
    static const std::string refused = [] {
        if (::unshare(CLONE_NEWNS) != 0) return std::string{"no mount namespace: "} + std::strerror(errno);
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            return std::string{"mounts cannot be made private: "} + std::strerror(errno);
        return std::string{};
    }();
    return refused;
}

Mount Mount::tmpfs(const fs::path& at, std::uint64_t bytes) {
    fs::create_directories(at);
    const std::string options = "size=" + std::to_string(bytes);
    if (::mount("nsa-faults", at.c_str(), "tmpfs", MS_NOSUID, options.c_str()) != 0)
        refuse("tmpfs at " + at.string());
    return Mount(at);
}

Mount Mount::image(const fs::path& file, const fs::path& at) {
    fs::create_directories(at);
    UniqueFd device;
    const std::string name = bind_loop(file, device);
    if (::mount(("/dev/" + name).c_str(), at.c_str(), "ext4", 0, nullptr) != 0)
        refuse("mount " + file.string());
    Mount mounted(at);
    mounted.device_ = name;
    return mounted;
}

Mount::Mount(Mount&& other) noexcept
    : at_(std::exchange(other.at_, fs::path{})), device_(std::move(other.device_)) {}

Mount::~Mount() {
    // Lazily: a process of a failed trial may still have its folder open.
    if (!at_.empty()) ::umount2(at_.c_str(), MNT_DETACH);
}

std::uint64_t Mount::device_writes() const {
    std::ifstream in{"/sys/block/" + device_ + "/stat"};  // reads merges sectors ms writes ...
    std::uint64_t field = 0;
    for (int i = 0; i < 5; ++i)
        in >> field;
    if (!in) throw std::runtime_error{"no statistics of " + device_};
    return field;
}

void make_ext4(const fs::path& file, std::uint64_t bytes) {
    {
        std::ofstream made{file, std::ios::binary};
        if (!made) refuse(file.string());
    }
    fs::resize_file(file, bytes);
    const Command command{.argv = {"/usr/sbin/mkfs.ext4", "-q", "-F", file.string()},
                          .environment = {},
                          .output = file.string() + ".log"};
    run_to_end(command, std::chrono::seconds{30});
}

}  // namespace nsa::faults
