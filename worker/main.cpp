// nsa-worker: what the orchestrator runs on a GPU host. Parses the command line, builds the parts, runs one.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "posix/spawn.hpp"
#include "probe/probe.hpp"
#include "protocol/frame.hpp"
#include "runner/supervisor.hpp"
#include "serve/serve.hpp"

namespace {

constexpr const char* kVersion = NSA_VERSION;
constexpr int kExitError = 1, kExitUsage = 2;

// A descriptor 0, 1 or 2 that is closed at the start would be given to the next file that is opened.
void open_standard_streams() {
    for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::open("/dev/null", O_RDWR)) {
        if (fd > STDERR_FILENO) {
            ::close(fd);
            return;
        }
    }
}

int report(const nsa::Result<void>& result) {
    if (result) return 0;
    std::fprintf(stderr, "nsa-worker: %s\n", result.error().describe().c_str());
    return result.error().code == nsa::ErrorCode::kUsage ? kExitUsage : kExitError;
}

// Absolute; relative ones are meant from the user's home, where an SSH session starts.
nsa::Result<std::string> home_path(const std::string& asked, const nsa::posix::Environment& host) {
    if (asked.starts_with('/')) return asked;
    const auto home = host.find("HOME");
    if (home == host.end() || home->second.empty()) {
        return nsa::fail(nsa::ErrorCode::kUsage, "HOME is not set; name the worker's folder with --home",
                         "home");
    }
    return home->second + "/" + (asked.empty() ? ".nsa" : asked);
}

struct Times {
    int grace_ms = static_cast<int>(nsa::language::kStopGrace.count());
    int kill_wait_ms = static_cast<int>(nsa::language::kKillWait.count());
};

void add_times(CLI::App& command, Times& times) {
    command.add_option("--grace-ms", times.grace_ms, "from SIGTERM to SIGKILL of a step")
        ->check(CLI::Range(1, 3'600'000));
    command.add_option("--kill-wait-ms", times.kill_wait_ms, "from SIGKILL to giving a process up")
        ->check(CLI::Range(1, 3'600'000));
}

// Steps and probes inherit it: an SSH session that reads no profile has a PATH without venvs and CUDA.
void prepend_to_path(const std::string& folders, const nsa::posix::Environment& host) {
    if (folders.empty()) return;
    const auto path = host.find("PATH");
    const std::string rest = path == host.end() ? "/usr/local/bin:/usr/bin:/bin" : path->second;
    ::setenv("PATH", (folders + ":" + rest).c_str(), 1);
}

int run_serve(const std::string& asked_home, const std::string& path, const Times& times, int silence_ms,
              const nsa::posix::Environment& host) {
    prepend_to_path(path, host);
    auto home = home_path(asked_home, host);
    if (!home) return report(home.error());
    nsa::serve::ServeOptions options;
    options.home = std::move(*home);
    options.version = kVersion;
    options.client_silence = std::chrono::milliseconds{silence_ms};
    options.supervisor = {"nsa-worker",     "run",
                          "--grace-ms",     std::to_string(times.grace_ms),
                          "--kill-wait-ms", std::to_string(times.kill_wait_ms)};
    return report(nsa::serve::serve(std::move(options)));
}

int run_supervisor(const std::string& directory, const Times& times, const nsa::posix::Environment& host) {
    nsa::runner::SupervisorOptions options;
    options.worker_version = kVersion;
    options.host = host;
    options.grace = std::chrono::milliseconds{times.grace_ms};
    options.kill_wait = std::chrono::milliseconds{times.kill_wait_ms};
    return report(nsa::runner::supervise(directory, options));
}

int run_probe(bool json, const std::string& disk, const nsa::posix::Environment& host) {
    nsa::probe::ProbeOptions options;
    options.disk = disk.empty() ? "/" : disk;
    options.environment = host;
    const nsa::probe::Facts facts = nsa::probe::probe_host(options);
    if (json) {
        std::printf("%s\n", nsa::probe::to_json(facts).c_str());
    } else {
        for (const auto& [name, value] : facts)
            std::printf("%s: %s\n", name.c_str(), value.c_str());
    }
    return 0;
}

int run(int argc, char** argv) {
    const nsa::posix::Environment host = nsa::posix::own_environment();
    CLI::App app{"Runs experiments on this host for nsad."};
    app.require_subcommand(1);
    Times times;
    std::string home, directory, path;
    bool json = false;

    CLI::App* serve = app.add_subcommand("serve", "speak the worker protocol on stdin and stdout");
    serve->add_option("--home", home, "folder of runs and tools (default ~/.nsa)");
    serve->add_option("--path", path, "folders put before PATH for steps and probes, separated by ':'");
    add_times(*serve, times);
    int client_silence_ms = 300'000;
    serve
        ->add_option("--client-silence-ms", client_silence_ms,
                     "without a byte from the client for so long, it is taken for gone")
        ->check(CLI::Range(1, 86'400'000));
    CLI::App* supervise = app.add_subcommand("run", "supervise a launched run directory to its end");
    supervise->add_option("DIR", directory, "the run directory")->required();
    add_times(*supervise, times);
    CLI::App* probe = app.add_subcommand("probe", "print the facts of this host");
    probe->add_flag("--json", json, "as one JSON object");
    probe->add_option("--home", home, "folder whose file system disk_free_bytes is about (default /)");
    app.add_subcommand("version", "print the version");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kExitUsage;
    }
    if (serve->parsed()) return run_serve(home, path, times, client_silence_ms, host);
    if (supervise->parsed()) return run_supervisor(directory, times, host);
    if (probe->parsed()) return run_probe(json, home, host);
    std::printf("nsa-worker %s, protocol %d\n", kVersion, nsa::protocol::kProtocolVersion);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_streams();
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "nsa-worker: %s\n", error.what());
        return kExitError;
    }
}
