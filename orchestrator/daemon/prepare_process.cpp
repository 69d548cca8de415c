#include "daemon/prepare_process.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

namespace nsa::daemon {

void prepare_process() {
    std::signal(SIGPIPE, SIG_IGN);
    ::umask(0077);
    rlimit core{};
    ::getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = 0;
    ::setrlimit(RLIMIT_CORE, &core);
    ::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace nsa::daemon
