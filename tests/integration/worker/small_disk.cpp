#include "small_disk.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace nsa::test {
namespace {

std::string why(const char* what) {
    return std::string{what} + ": " + std::generic_category().message(errno);
}

// Empty: done. A process that became its own user stays itself on the outside.
std::string enter_own_mounts() {
    const unsigned uid = ::getuid(), gid = ::getgid();
    if (::unshare(CLONE_NEWNS) != 0) {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return why("neither mount nor user namespaces");
        std::ofstream{"/proc/self/setgroups"} << "deny";
        std::ofstream{"/proc/self/uid_map"} << "0 " << uid << " 1";
        std::ofstream{"/proc/self/gid_map"} << "0 " << gid << " 1";
    }
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return why("private mounts");
    return {};
}

}  // namespace

SmallDisk::SmallDisk(const std::string& options) : refused_{enter_own_mounts()} {
    if (!refused_.empty()) return;
    if (::mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, options.c_str()) != 0)
        refused_ = why("mount a tmpfs");
}

SmallDisk::~SmallDisk() {
    if (refused_.empty()) ::umount2(dir_.path().c_str(), MNT_DETACH);
}

}  // namespace nsa::test
