#include "support/loopback_sshd.hpp"

#include <arpa/inet.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "engines/child.hpp"
#include "engines/host_key.hpp"
#include "support/wait.hpp"

namespace nsa::test {
namespace {

using namespace std::chrono_literals;

std::filesystem::path program(const char* name) {
    for (const char* dir : {"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin"}) {
        const std::filesystem::path path = std::filesystem::path{dir} / name;
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    throw std::runtime_error{std::string{name} +
                             " is not installed; ./setup installs openssh-server and -client"};
}

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool ok = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (fd >= 0) ::close(fd);
    if (!ok) throw std::runtime_error{"the kernel gives no port"};
    return ntohs(address.sin_port);
}

// Parent and name from /proc/<pid>/stat: "pid (name) state ppid ...".
struct ProcessInfo {
    pid_t pid = 0, parent = 0;
    std::string name;
};
std::optional<ProcessInfo> process_info(const std::filesystem::path& proc) {
    std::ifstream in{proc / "stat"};
    std::string line;
    std::getline(in, line);  // the process may end between open and read: then the line is empty
    const std::size_t open = line.find('('), close = line.rfind(')');
    if (open == std::string::npos || close == std::string::npos) return std::nullopt;
    ProcessInfo info;
    info.pid = static_cast<pid_t>(std::stol(line));
    info.name = line.substr(open + 1, close - open - 1);
    std::istringstream rest{line.substr(close + 1)};
    std::string state;
    rest >> state >> info.parent;
    return info;
}

std::vector<pid_t> sshd_children(pid_t parent) {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
        if (entry.path().filename().string().find_first_not_of("0123456789") != std::string::npos) continue;
        const std::optional<ProcessInfo> info = process_info(entry.path());
        if (!info || info->parent != parent || info->name.rfind("sshd", 0) != 0) continue;
        found.push_back(info->pid);
        for (const pid_t child : sshd_children(info->pid))
            found.push_back(child);
    }
    return found;
}

void end(pid_t pid, int signal) {
    ::kill(pid, signal);
    ::waitpid(pid, nullptr, 0);
}

}  // namespace

LoopbackSshd::LoopbackSshd(std::vector<std::string> config) : config_(std::move(config)) {
    const passwd* me = ::getpwuid(::geteuid());
    user_ = me == nullptr ? "root" : me->pw_name;
    // sshd insists on its privilege separation folder, which a service manager would have made.
    if (::geteuid() == 0) std::filesystem::create_directories("/run/sshd");
    std::filesystem::create_directories(home());
    for (const char* name : {"host_key", "user_key", "other_key"})
        make_key(name);
    std::filesystem::copy_file(dir_ / "user_key.pub", dir_ / "authorized_keys");
    // The port is free when asked for; another process may take it before sshd does.
    for (int attempt = 0; attempt < 5; ++attempt) {
        port_ = free_port();
        if (try_start()) return;
    }
    throw std::runtime_error{"sshd does not start: " + log()};
}

LoopbackSshd::~LoopbackSshd() {
    stop();
}

void LoopbackSshd::make_key(const std::string& name) const {
    const std::filesystem::path file = dir_ / name;
    std::filesystem::remove(file);
    const std::vector<std::string> arguments{"-q", "-t", "ed25519", "-N",         "",
                                             "-C", name, "-f",      file.string()};
    Result<engines::Child> child = engines::spawn_child(program("ssh-keygen"), arguments);
    if (!child) throw std::runtime_error{child.error().describe()};
    int status = 0;
    ::waitpid(child->pid, &status, 0);
    if (status != 0) throw std::runtime_error{"ssh-keygen failed for " + file.string()};
}

void LoopbackSshd::write_config() const {
    std::string text;
    for (const std::string& line : config_)
        text += line + "\n";
    text += "Port " + std::to_string(port_) + "\nListenAddress 127.0.0.1\n";
    text += "HostKey " + (dir_ / "host_key").string() + "\n";
    text += "AuthorizedKeysFile " + (dir_ / "authorized_keys").string() + "\n";
    text += "PidFile " + (dir_ / "pid").string() + "\n";
    text += "SetEnv HOME=" + home().string() + "\n";
    text +=
        "UsePAM no\nUseDNS no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nMaxStartups 100\nLogLevel DEBUG1\n";
    write_file(dir_ / "sshd_config", text);
}

bool LoopbackSshd::try_start() {
    write_config();
    std::filesystem::remove(dir_ / "pid");
    // By way of setpriv (util-linux): the kernel ends it with this process, so that a crashing test leaves
    // none.
    const std::vector<std::string> arguments{
        "--pdeathsig",           "TERM", program("sshd").string(),       "-D", "-E",
        (dir_ / "log").string(), "-f",   (dir_ / "sshd_config").string()};
    Result<engines::Child> child = engines::spawn_child(program("setpriv"), arguments);
    if (!child) throw std::runtime_error{child.error().describe()};
    pid_ = child->pid;
    // It writes its pid once it listens. When it dies instead, nothing comes.
    if (wait_for_file(dir_ / "pid", 20s)) return true;
    end(std::exchange(pid_, -1), SIGKILL);
    return false;
}

void LoopbackSshd::start() {
    if (!try_start()) throw std::runtime_error{"sshd does not start again: " + log()};
}

void LoopbackSshd::kill_sessions() {
    for (const pid_t pid : sshd_children(pid_)) {
        ::kill(pid, SIGKILL);
        wait_for_end(pid, 5s);
    }
}

void LoopbackSshd::stop() {
    if (pid_ < 0) return;
    // It takes no new connection between the end of the others and its own: that one would outlive it.
    ::kill(pid_, SIGSTOP);
    kill_sessions();
    end(std::exchange(pid_, -1), SIGKILL);
}

void LoopbackSshd::change_host_key() {
    make_key("host_key");
    stop();
    start();
}

std::string LoopbackSshd::host_key() const {
    const Result<engines::HostKey> key = engines::parse_host_key(read_file(dir_ / "host_key.pub"));
    if (!key) throw std::runtime_error{key.error().describe()};
    return engines::to_string(*key);
}

std::string LoopbackSshd::log() const {
    return std::filesystem::exists(dir_ / "log") ? read_file(dir_ / "log") : std::string{};
}

engines::InstanceConfig LoopbackSshd::instance(std::string name) const {
    engines::InstanceConfig config;
    config.name = InstanceName{std::move(name)};
    config.engine = language::EngineKind::kSsh;
    config.host = "127.0.0.1";
    config.user = user_;
    config.port = port_;
    config.key_file = user_key().string();
    config.host_key = host_key();
    return config;
}

}  // namespace nsa::test
