// Laboratory programs: what a failpoint does is read from the environment, once.
//
//   NSA_FAILPOINT=name[:k][=kill|pause]   at the k-th hit (from 1, the default) of that name in this process:
//                                         SIGKILL to itself (the default), or SIGSTOP until somebody's
//                                         SIGCONT
//   NSA_FAILPOINT_LOG=file                the name of every hit, a line each, appended before anything else
//
// POSIX calls only: the worker is linked statically, and nothing here may depend on what the program does.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

#include "language/failpoint.hpp"

namespace nsa {
namespace {

struct Order {
    std::string name;
    unsigned at_hit = 1;
    int signal = SIGKILL;
};

// A laboratory that misspells its order must not take the silence for a success.
[[noreturn]] void refuse(const std::string& text) {
    const std::string line =
        "NSA_FAILPOINT=" + text + " is not understood; name[:k][=kill|pause], with k from 1\n";
    [[maybe_unused]] const ssize_t told = ::write(STDERR_FILENO, line.data(), line.size());
    ::_exit(2);
}

Order order_of(const std::string& text) {
    Order order;
    const std::size_t equals = text.find('=');
    const std::string action = equals == std::string::npos ? "kill" : text.substr(equals + 1);
    if (action != "kill" && action != "pause") refuse(text);
    if (action == "pause") order.signal = SIGSTOP;
    const std::string place = text.substr(0, equals);
    const std::size_t colon = place.find(':');
    order.name = place.substr(0, colon);
    if (colon != std::string::npos) {
        const char* const end = place.data() + place.size();
        const auto [stop, error] = std::from_chars(place.data() + colon + 1, end, order.at_hit);
        if (error != std::errc{} || stop != end || order.at_hit == 0) refuse(text);
    }
    if (order.name.empty()) refuse(text);
    return order;
}

struct Laboratory {
    Laboratory() {
        if (const char* text = std::getenv("NSA_FAILPOINT")) order = order_of(text);
        if (const char* file = std::getenv("NSA_FAILPOINT_LOG"))
            log = ::open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    Order order;
    int log = -1;  // stays open to the end of the process
    std::atomic<unsigned> hits{0};
};

}  // namespace

void failpoint(std::string_view name) noexcept {
    static Laboratory laboratory;
    if (laboratory.log >= 0) {
        const std::string line =
            std::string(name) + "\n";  // one write: lines of several processes stay whole
        [[maybe_unused]] const ssize_t written = ::write(laboratory.log, line.data(), line.size());
    }
    if (name != laboratory.order.name) return;
    if (++laboratory.hits == laboratory.order.at_hit) ::kill(::getpid(), laboratory.order.signal);
}

}  // namespace nsa
