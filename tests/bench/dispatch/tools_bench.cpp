// What the same sshd gives the tools that people use today. Their programs are started as a user would.
#include <fmt/format.h>
#include <sys/wait.h>

#include <stdexcept>

#include "engines/child.hpp"
#include "sections.hpp"

namespace nsa::bench {
namespace {

constexpr int kColdRuns = 10, kWarmRuns = 50, kParallelJobs = 200;

// Runs a program to its end; its output is dropped.
void run(const std::string& program, const std::vector<std::string>& arguments) {
    Result<engines::Child> child = engines::spawn_child(program, arguments);
    if (!child) throw std::runtime_error{child.error().describe()};
    char buffer[4096];
    while (::read(child->stdio.get(), buffer, sizeof buffer) > 0) {
    }
    int status = 0;
    ::waitpid(child->pid, &status, 0);
    if (status != 0) {
        const ssize_t n = ::read(child->err.get(), buffer, sizeof buffer);
        throw std::runtime_error{program +
                                 " failed: " + std::string(buffer, static_cast<std::size_t>(n > 0 ? n : 0))};
    }
}

std::vector<double> time_runs(int count, const std::string& program,
                              const std::vector<std::string>& arguments) {
    std::vector<double> samples;
    for (int i = 0; i < count; ++i) {
        const auto begin = Clock::now();
        run(program, arguments);
        samples.push_back(milliseconds_since(begin));
    }
    return samples;
}

// One ssh_config for all, so that every tool is as well set up as it can be.
std::filesystem::path write_ssh_config(const test::LoopbackSshd& sshd) {
    const std::filesystem::path path = sshd.dir() / "ssh_config";
    test::write_file(path,
                     fmt::format("Host cold warm\n"
                                 "  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n"
                                 "  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n"
                                 "  UserKnownHostsFile {}\n  KexAlgorithms curve25519-sha256\n"
                                 "  Ciphers aes128-gcm@openssh.com\n  LogLevel ERROR\n"
                                 "Host warm\n  ControlMaster auto\n  ControlPersist 60\n  ControlPath {}\n",
                                 sshd.port(), sshd.user(), sshd.user_key().string(),
                                 (sshd.dir() / "known_hosts").string(), (sshd.dir() / "cm").string()));
    test::write_file(sshd.dir() / "known_hosts",
                     fmt::format("[127.0.0.1]:{} {}\n", sshd.port(), sshd.host_key()));
    return path;
}

}  // namespace

void bench_tools(Figures& figures, const test::LoopbackSshd& sshd) {
    const std::string config = write_ssh_config(sshd).string();
    const std::string ssh = "/usr/bin/ssh";
    figures.add({"ssh_cold", "ssh, cold connect + true (curve25519)", "ms",
                 time_runs(kColdRuns, ssh, {"-F", config, "cold", "true"})});
    run(ssh, {"-F", config, "warm", "true"});  // starts the master
    figures.add({"ssh_master", "ssh on a warm ControlMaster, true", "ms",
                 time_runs(kWarmRuns, ssh, {"-F", config, "warm", "true"})});
    std::vector<std::string> parallel{"--no-notice", "-j8", "-S", "ssh -F " + config + " warm",
                                      "true {}",     ":::"};
    for (int i = 0; i < kParallelJobs; ++i)
        parallel.push_back(std::to_string(i));
    const auto begin = Clock::now();
    run("/usr/bin/parallel", parallel);
    figures.add({"gnu_parallel",
                 "GNU parallel -j8 on the ControlMaster, true",
                 "steps/s",
                 {kParallelJobs / milliseconds_since(begin) * 1000}});
    run(ssh, {"-F", config, "-O", "exit", "warm"});
}

}  // namespace nsa::bench
