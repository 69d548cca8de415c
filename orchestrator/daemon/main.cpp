// nsad: the daemon on the control host.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "daemon/daemon.hpp"
#include "daemon/options.hpp"

namespace {

constexpr int kUsage = 2, kFailed = 1;
constexpr std::chrono::seconds kShutdown{5};

// Private files, and no core dump: keys pass through this memory.
void harden() {
    ::umask(0077);
    rlimit core{};
    ::getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = 0;  // jobs of this machine may raise it again
    ::setrlimit(RLIMIT_CORE, &core);
    ::prctl(PR_SET_DUMPABLE, 0);
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

int complain(const nsa::Error& error) {
    std::cerr << "nsad: " << error.describe() << "\n";
    return error.code == nsa::ErrorCode::kUsage ? kUsage : kFailed;
}

int run(int argc, char** argv) {
    std::error_code ec;
    const nsa::daemon::Surroundings around{.getenv = environment,
                                           .working_directory = std::filesystem::current_path(),
                                           .program = nsa::daemon::this_program(),
                                           .artifacts_here = std::filesystem::is_directory("artifacts", ec)};
    nsa::Result<nsa::daemon::Options> options = nsa::daemon::read_options(argc, argv, around);
    if (!options) return complain(options.error());
    if (options->help_or_version) return 0;
    boost::asio::io_context io{1};
    boost::asio::signal_set signals(io, SIGINT, SIGTERM);
    auto daemon = nsa::daemon::Daemon::open(io, std::move(options->config));
    if (!daemon) return complain(daemon.error());
    signals.async_wait([&io](boost::system::error_code, int) { io.stop(); });
    io.run();
    if ((*daemon)->shut_down(kShutdown)) return 0;
    // What does not end is in the log; the state on disk is whole at any moment.
    std::_Exit(kFailed);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    harden();
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "nsad: " << error.what() << "\n";
        return kFailed;
    }
}
