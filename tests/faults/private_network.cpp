#include "private_network.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "system/unique_fd.hpp"

namespace nsa::faults {

std::string enter_private_network() {
    if (::unshare(CLONE_NEWNET) != 0) return std::strerror(errno);
    // From here on there is no way back: a network without its loopback is no place for a trial.
    const UniqueFd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq loopback{};
    std::strncpy(loopback.ifr_name, "lo", sizeof loopback.ifr_name - 1);
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    if (!any || ::ioctl(any.get(), SIOCSIFFLAGS, &loopback) != 0)
        throw std::runtime_error{std::string{"the loopback of a private network does not come up: "} +
                                 std::strerror(errno)};
    return {};
}

}  // namespace nsa::faults
