#include "lab_daemon.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/client.hpp"
#include "support/run.hpp"

namespace nsa::faults {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kReserveMib = "4";  // for a full disk: many trials share one, and it is written whole

Command command_of(const Trial& trial, const DaemonSetup& setup) {
    Command command;
    command.argv = setup.prefix;
    for (const std::string& word :
         {setup.nsad.string(), std::string{"--state-dir"}, trial.state().string(), std::string{"--artifacts"},
          trial.artifacts().string(), std::string{"--worker"}, setup.worker.string(),
          std::string{"--reserve-mib"}, std::string{kReserveMib}}) {
        command.argv.push_back(word);
    }
    command.argv.insert(command.argv.end(), setup.flags.begin(), setup.flags.end());
    command.environment = {"HOME=" + trial.home().string(), "PATH=/usr/bin:/bin:/usr/sbin:/sbin"};
    command.environment.insert(command.environment.end(), setup.environment.begin(), setup.environment.end());
    command.output = trial.root() / "nsad.out";
    return command;
}

asio::awaitable<bool> answers(std::filesystem::path socket, Process& process,
                              LabDaemon::Clock::time_point until) {
    api::Client client(std::move(socket));
    asio::steady_timer pause(co_await asio::this_coro::executor);
    for (;;) {
        const Result<api::VersionView> version = co_await client.version();
        if (version) co_return true;
        if (process.wait(milliseconds{0}) || LabDaemon::Clock::now() >= until) co_return false;
        pause.expires_after(milliseconds{2});
        co_await pause.async_wait(asio::use_awaitable);
    }
}

}  // namespace

LabDaemon::LabDaemon(const Trial& trial, const DaemonSetup& setup)
    : socket_(trial.state() / "nsad.sock"), started_(Clock::now()), process_(command_of(trial, setup)) {}

bool LabDaemon::serves(asio::io_context& io, milliseconds limit) {
    return test::run(io, answers(socket_, process_, Clock::now() + limit), limit + seconds{60});
}

bool LabDaemon::stop() {
    // Whether it ended within five seconds its exit status says, by its own clock.
    const std::optional<int> status = process_.end(SIGTERM, seconds{30});
    return status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
}

}  // namespace nsa::faults
