#include "emulator/crash.hpp"

#include <signal.h>

#include <array>
#include <cstdio>

#include "emulator/machine.hpp"

namespace nsa::emulator {
namespace {

// On a stack of its own: the fault may be that the fiber's is used up.
std::array<char, 64 * 1024> handler_stack;

void report(int signal) {
    if (current != nullptr) {
        std::fprintf(stderr, "%s: memory that is not there, or its stack is used up\n",
                     place_of(*current).c_str());
    }
    // Back to the instruction, which now ends the process.
    (void)::signal(signal, SIG_DFL);
}

}  // namespace

void report_crashes() {
    static const bool once = [] {
        const stack_t stack{.ss_sp = handler_stack.data(), .ss_flags = 0, .ss_size = handler_stack.size()};
        (void)sigaltstack(&stack, nullptr);
        struct sigaction action {};
        action.sa_handler = report;
        action.sa_flags = SA_ONSTACK;
        (void)sigaction(SIGSEGV, &action, nullptr);
        (void)sigaction(SIGBUS, &action, nullptr);
        return true;
    }();
    (void)once;
}

}  // namespace nsa::emulator
