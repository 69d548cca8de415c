#include "nsad_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <thread>

#include "support/run.hpp"
#include "support/wait.hpp"

namespace nsa::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Started {
    pid_t pid = -1;
    int err = -1;  // read end of its stderr
};

Started start(const fs::path& dir, const NsadOptions& options) {
    fs::create_directories(dir / "home");
    std::vector<std::string> words = options.prefix;
    for (const std::string& word :
         {std::string(options.lab ? NSAD_LAB_PATH : NSAD_PATH), std::string("--foreground"),
          std::string("--state-dir"), (dir / "state").string(), std::string("--artifacts"),
          (dir / "artifacts").string(), std::string("--worker"), std::string(NSA_WORKER_PATH)}) {
        words.push_back(word);
    }
    words.insert(words.end(), options.flags.begin(), options.flags.end());
    if (!options.socket.empty()) words.insert(words.end(), {"--socket", options.socket.string()});
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<std::string> variables = {"HOME=" + (dir / "home").string(),
                                          "PATH=/usr/bin:/bin:/usr/sbin:/sbin"};
    variables.insert(variables.end(), options.environment.begin(), options.environment.end());
    std::vector<char*> env;
    for (std::string& variable : variables)
        env.push_back(variable.data());
    env.push_back(nullptr);
    int err[2];
    if (::pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, err[1], STDERR_FILENO);
    Started started{.pid = -1, .err = err[0]};
    const int rc = ::posix_spawnp(&started.pid, argv[0], &files, nullptr, argv.data(), env.data());
    posix_spawn_file_actions_destroy(&files);
    ::close(err[1]);
    if (rc != 0) throw std::runtime_error("cannot start " + words.front());
    return started;
}

// Reads until the text was said, or the end.
std::string read_until(int fd, const std::string& text, milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::string said;
    char buffer[4096];
    while (said.find(text) == std::string::npos) {
        const auto left =
            std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd waiting{fd, POLLIN, 0};
        if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
        const ssize_t n = ::read(fd, buffer, sizeof buffer);
        if (n <= 0) break;
        said.append(buffer, static_cast<std::size_t>(n));
    }
    return said;
}

}  // namespace

NsadProcess::NsadProcess(fs::path dir, NsadOptions options)
    : dir_(std::move(dir)), client_(options.socket.empty() ? dir_ / "state" / "nsad.sock" : options.socket) {
    const Started started = start(dir_, options);
    pid_ = started.pid;
    const std::string said = read_until(started.err, "serves ", seconds(60));
    ::close(started.err);  // its further words go to nsad.log
    if (said.find("serves ") == std::string::npos) {
        end(SIGKILL, seconds(20));
        throw std::runtime_error("nsad does not serve: " + said);
    }
}

NsadProcess::~NsadProcess() {
    if (pid_ > 0) end(SIGKILL, seconds(20));
}

std::optional<int> NsadProcess::end(int signal, milliseconds limit) {
    ::kill(pid_, signal);
    return wait_end(limit);
}

std::optional<int> NsadProcess::wait_end(milliseconds limit) {
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    pollfd waiting{process, POLLIN, 0};
    const bool ended = ::poll(&waiting, 1, static_cast<int>(limit.count())) == 1;
    ::close(process);
    if (!ended) return std::nullopt;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
}

namespace {

long kib_of(pid_t pid, const std::string& field) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(field)) return std::stol(line.substr(field.size()));
    }
    throw std::runtime_error("there is no " + field + " of nsad");
}

}  // namespace

long NsadProcess::peak_kib() const {
    return kib_of(pid_, "VmHWM:");
}
long NsadProcess::memory_kib() const {
    return kib_of(pid_, "VmRSS:");
}

template <class T>
T NsadProcess::call(api::Async<T> async) {
    const Result<T> result = run(io_, std::move(async), seconds(100));
    if (!result) throw std::runtime_error(result.error().describe());
    return *result;
}
template api::SubmitReply NsadProcess::call(api::Async<api::SubmitReply>);
template api::RunView NsadProcess::call(api::Async<api::RunView>);
template api::LogChunk NsadProcess::call(api::Async<api::LogChunk>);
template std::vector<api::RunView> NsadProcess::call(api::Async<std::vector<api::RunView>>);
template api::ReportView NsadProcess::call(api::Async<api::ReportView>);
template std::vector<api::ArtifactView> NsadProcess::call(api::Async<std::vector<api::ArtifactView>>);
template api::InstanceView NsadProcess::call(api::Async<api::InstanceView>);
template std::vector<api::InstanceView> NsadProcess::call(api::Async<std::vector<api::InstanceView>>);

RunId NsadProcess::submit(const std::string& yaml, const std::string& instance) {
    api::SubmitRequest request;
    request.spec_yaml = yaml;
    request.file = "test.yaml";
    request.instance = instance;
    return call(client_.submit(request)).run;
}

api::RunView NsadProcess::wait_state(const RunId& run, language::RunState state, milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    api::RunView view = call(client_.wait_run(run, 0, milliseconds(0)));
    while (view.state != state) {
        const auto left =
            std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
        const bool final = view.state == language::RunState::kDone;
        if (final || left.count() <= 0) {
            throw std::runtime_error("the run is " + std::string(language::to_string(view.state)) + " (" +
                                     std::string(language::to_string(view.reason)) + "): " + view.message +
                                     "\n" + read_file(dir_ / "state" / "nsad.log"));
        }
        view = call(client_.wait_run(run, view.version, std::min(left, milliseconds(10'000))));
    }
    return view;
}

api::RunView NsadProcess::wait_done(const RunId& run, milliseconds limit) {
    return wait_state(run, language::RunState::kDone, limit);
}

api::RunView NsadProcess::wait_done_through_restarts(const RunId& run, milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
        try {
            return wait_done(run, seconds(20));
        } catch (const std::runtime_error&) {
            if (std::chrono::steady_clock::now() > deadline) throw;
            std::this_thread::sleep_for(milliseconds(100));
        }
    }
}

std::string NsadProcess::whole_log(const RunId& run, const std::string& key, const std::string& stream) {
    api::LogRequest request;
    request.run = run;
    request.key = CaseKey{key};
    request.stream = stream;
    request.wait = seconds(30);
    std::string text;
    for (;;) {
        const Result<api::LogChunk> chunk = nsa::test::run(io_, client_.read_log(request), seconds(60));
        if (!chunk) throw std::runtime_error(chunk.error().describe());
        text += chunk->bytes;
        request.offset = chunk->next_offset;
        if (chunk->complete) return text;
    }
}

Refusal start_and_fail(const fs::path& dir, const NsadOptions& options) {
    const Started started = start(dir, options);
    Refusal refusal;
    refusal.said = read_until(started.err, "serves ", seconds(60));
    ::close(started.err);
    if (refusal.said.find("serves ") != std::string::npos) ::kill(started.pid, SIGKILL);
    int status = 0;
    ::waitpid(started.pid, &status, 0);
    if (WIFEXITED(status)) refusal.exit_code = WEXITSTATUS(status);
    return refusal;
}

}  // namespace nsa::test
