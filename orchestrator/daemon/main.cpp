// nsad: the daemon on the control host.
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <utility>

#include "daemon/daemon.hpp"
#include "daemon/may_pass.hpp"
#include "daemon/options.hpp"
#include "daemon/prepare_process.hpp"
#include "store/backup.hpp"

namespace {

constexpr int kUsage = 2, kFailed = 1;
constexpr std::chrono::seconds kShutdown{5};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

int complain(const nsa::Error& error) {
    std::cerr << "nsad: " << error.describe() << "\n";
    return error.code == nsa::ErrorCode::kUsage ? kUsage : kFailed;
}

int copy(const nsa::daemon::Config& config, const std::filesystem::path& to) {
    const nsa::Result<void> copied = nsa::store::copy_database(config.state_dir / "nsa.db", to);
    if (!copied) return complain(copied.error());
    std::cout << "copied to " << to.string() << "\n";
    return 0;
}

// Until a signal ends it. A store that failed is opened anew, which checks it: an fsync that failed must not
// be tried again as if nothing had happened. A file that is damaged ends the program, with what helps.
int serve(nsa::daemon::Config config) {
    constexpr std::chrono::seconds kAgain{2};
    boost::asio::io_context io{1};
    boost::asio::signal_set signals(io, SIGINT, SIGTERM);
    bool failed = false, told = false;
    std::optional<nsa::ErrorCode> waits_for;  // said once, however long it takes
    config.on_store_failure = [&](const nsa::Error&) {
        failed = true;
        io.stop();
    };
    signals.async_wait([&](boost::system::error_code, int) {
        told = true;
        io.stop();
    });
    for (;;) {
        failed = false;
        auto daemon = nsa::daemon::Daemon::open(io, config);
        if (daemon) {
            waits_for.reset();
            io.run();
            // What does not end is in the log; the state on disk is whole at any moment.
            if (!(*daemon)->shut_down(kShutdown)) std::_Exit(kFailed);
            if (told || !failed) return 0;
            daemon->reset();
            std::cerr << "nsad: the store failed; it is opened anew\n";
        } else {
            // What may pass is no reason to leave, least of all when a store that failed is opened anew while
            // jobs run.
            if (!nsa::daemon::may_pass(daemon.error())) return complain(daemon.error());
            if (std::exchange(waits_for, daemon.error().code) != daemon.error().code) {
                complain(daemon.error());
                std::cerr << "nsad: tried again every 2 s until "
                          << (*waits_for == nsa::ErrorCode::kNoSpace ? "there is room\n"
                                                                     : "it is unlocked\n");
            }
        }
        io.restart();
        io.run_for(kAgain);  // a signal ends the wait
        if (told) return 0;
        io.restart();
    }
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
    if (!options->copy_to.empty()) return copy(options->config, options->copy_to);
    return serve(options->config);
}

}  // namespace

int main(int argc, char** argv) {
    nsa::daemon::prepare_process();
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "nsad: " << error.what() << "\n";
        return kFailed;
    }
}
