// Alone in its file: in a laboratory program lab/boot_id.cpp takes its place at link time.
#include "posix/identity.hpp"

namespace nsa::posix {

std::string boot_id() {
    std::string id = read_proc("/proc/sys/kernel/random/boot_id");
    while (!id.empty() && id.back() == '\n')
        id.pop_back();
    return id;
}

}  // namespace nsa::posix
