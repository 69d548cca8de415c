// nsactl: the command line of nsa.
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "cli/arguments.hpp"
#include "cli/backends.hpp"
#include "cli/dispatch.hpp"
#include "language/verdict.hpp"

namespace {

namespace api = nsa::api;
namespace cli = nsa::cli;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

cli::TerminalFacts terminal_facts() {
    cli::TerminalFacts facts;
    facts.in_is_tty = ::isatty(STDIN_FILENO) == 1;
    facts.out_is_tty = ::isatty(STDOUT_FILENO) == 1;
    facts.err_is_tty = ::isatty(STDERR_FILENO) == 1;
    facts.no_colour = !variable("NO_COLOR").empty();
    facts.dumb = variable("TERM") == "dumb";
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        facts.columns = size.ws_col;
        facts.rows = size.ws_row;
    }
    return facts;
}

template <class Clock>
std::int64_t read_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
}

int run(const cli::Invocation& invocation, const cli::Console& console) {
    std::error_code ignored;
    const bool artifacts_here = std::filesystem::is_directory("artifacts", ignored);
    const auto paths =
        api::state_paths(invocation.paths, variable, artifacts_here, std::filesystem::current_path());
    if (!paths) return console.complain(paths.error());
    cli::Parts parts;
    parts.connect = [](const api::StatePaths& at) { return cli::connect_to_daemon(at.socket); };
    parts.daemon_listens = [](const api::StatePaths& at) { return cli::daemon_listens(at.socket); };
    parts.become_daemon = cli::become_daemon;
    parts.scan_host_key = cli::scan_host_key;
    return cli::dispatch(invocation, *paths, console, parts);
}

}  // namespace

int main(int argc, char** argv) {
    std::ios::sync_with_stdio(false);
    std::signal(SIGPIPE, SIG_IGN);  // a reader of ours that goes away is an error of the stream
    const cli::Parsed parsed = cli::parse_arguments(std::vector<std::string>(argv + 1, argv + argc));
    std::cout << parsed.out;
    std::cerr << parsed.err;
    if (!parsed.invocation) return parsed.exit_code;
    const cli::Console console(std::cout, std::cerr, std::cin, terminal_facts(),
                               read_ms<std::chrono::system_clock>, read_ms<std::chrono::steady_clock>);
    try {
        const int code = run(*parsed.invocation, console);
        std::cout.flush();
        return code;
    } catch (const std::exception& exception) {
        return console.complain(nsa::fail(nsa::ErrorCode::kInternal, exception.what(), "unexpected"));
    }
}
