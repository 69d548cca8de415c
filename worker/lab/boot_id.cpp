// A host that was rebooted, for the laboratory: NSA_LAB_BOOT_ID is the boot id, where it is set.
#include <cstdlib>

#include "posix/identity.hpp"

namespace nsa::posix {

std::string boot_id() {
    if (const char* id = std::getenv("NSA_LAB_BOOT_ID")) return id;
    std::string id = read_proc("/proc/sys/kernel/random/boot_id");
    return id.substr(0, id.find('\n'));
}

}  // namespace nsa::posix
