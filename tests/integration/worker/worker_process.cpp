#include "worker_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "posix/identity.hpp"

namespace nsa::test {
namespace {

using protocol::Frame;
using protocol::FrameType;

std::array<UniqueFd, 2> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& text : texts)
        out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

}  // namespace

TempDir::TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "nsa-worker-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = std::filesystem::canonical(name);
}

TempDir::~TempDir() {
    std::error_code ignored;  // a step that still runs may add to it
    std::filesystem::remove_all(path_, ignored);
}

WorkerProcess::WorkerProcess(const std::filesystem::path& home, const ServeStart& start) {
    ::signal(SIGPIPE, SIG_IGN);  // writing to a serve that died throws
    auto in = make_pipe();
    auto out = make_pipe();
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0].get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out[1].get(), STDOUT_FILENO);
    const char* const program = start.program == Program::kLab ? NSA_WORKER_LAB_PATH : NSA_WORKER_PATH;
    std::vector<std::string> argv{program,
                                  "serve",
                                  "--home",
                                  home.string(),
                                  "--grace-ms",
                                  "300",
                                  "--kill-wait-ms",
                                  std::to_string(start.kill_wait_ms),
                                  "--client-silence-ms",
                                  std::to_string(start.client_silence_ms)};
    // It enters the cgroup before it becomes serve, so that all of its memory is counted there.
    const std::string enter = "echo $$ > \"$0\"/cgroup.procs && exec \"$@\"";
    if (!start.cgroup.empty()) argv.insert(argv.begin(), {"/bin/sh", "-c", enter, start.cgroup});
    posix::Environment environment = posix::own_environment();
    for (const auto& [name, value] : start.also)
        environment[name] = value;
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment)
        variables.push_back(name + "=" + value);
    const int failed = ::posix_spawn(&pid_, argv.front().c_str(), &actions, nullptr, pointers(argv).data(),
                                     pointers(variables).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::runtime_error("cannot start " + argv.front());
    to_ = std::move(in[1]);
    from_ = std::move(out[0]);
    if (start.greet) ask<protocol::HelloReply>(FrameType::kHello, encode(protocol::Hello{1, "test"}));
}

WorkerProcess::~WorkerProcess() {
    if (pid_ != 0) kill_hard();
}

std::uint32_t WorkerProcess::send(FrameType type, std::string_view payload) {
    send_as(++last_request_, type, payload);
    return last_request_;
}

void WorkerProcess::send_as(std::uint32_t request, FrameType type, std::string_view payload) {
    std::string bytes;
    protocol::append_frame(bytes, type, request, payload);
    send_raw(bytes);
}

void WorkerProcess::send_raw(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(to_.get(), bytes.data(), bytes.size());
        if (n <= 0) throw std::runtime_error("serve does not take our bytes");
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

Frame WorkerProcess::next() {
    std::array<char, 65536> chunk{};
    for (;;) {
        auto frame = reader_.next();
        if (!frame) throw std::runtime_error("serve broke the framing: " + frame.error().describe());
        if (*frame) return std::move(**frame);
        pollfd ready{.fd = from_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&ready, 1, 30'000) <= 0) throw std::runtime_error("serve said nothing for 30 s");
        const ssize_t n = ::read(from_.get(), chunk.data(), chunk.size());
        if (n <= 0) throw std::runtime_error("serve ended its stream");
        reader_.feed({chunk.data(), static_cast<std::size_t>(n)});
    }
}

Frame WorkerProcess::answer(std::uint32_t request, const std::function<void(const Frame&)>& on_data) {
    for (;;) {
        Frame frame = next();
        if (frame.request != request) continue;
        if (frame.type == FrameType::kReply || frame.type == FrameType::kError) return frame;
        if (on_data) on_data(frame);
    }
}

Error WorkerProcess::refused(FrameType type, std::string_view payload) {
    const Frame frame = answer(send(type, payload));
    if (frame.type != FrameType::kError) throw std::runtime_error("not refused: " + frame.payload);
    return protocol::decode_error(frame.payload);
}

void WorkerProcess::kill_hard() {
    ::kill(pid_, SIGKILL);
    wait();
}

void WorkerProcess::close_stdin() {
    to_.reset();
}

int WorkerProcess::wait() {
    int status = 0;
    const pid_t done = ::waitpid(pid_, &status, 0);
    if (done != pid_) throw std::runtime_error("waitpid");
    pid_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::vector<language::Event> Followed::events() const {
    std::vector<language::Event> out;
    std::istringstream lines{journal};
    for (std::string line; std::getline(lines, line);)
        out.push_back(language::event_from_line(line).value());
    return out;
}

language::CaseFinished Followed::finished(std::string_view key) const {
    for (const auto& finished : all<language::CaseFinished>()) {
        if (finished.key.value == key) return finished;
    }
    throw std::runtime_error("no case_finished of " + std::string{key} + " in\n" + journal);
}

Followed follow(WorkerProcess& worker, protocol::Attach request) {
    Followed followed;
    const std::uint32_t id = worker.send(FrameType::kAttach, encode(request));
    const Frame end = worker.answer(id, [&](const Frame& frame) {
        if (frame.type == FrameType::kEvents) {
            followed.journal += frame.payload;
        } else {
            const auto piece = protocol::decode_log(frame.payload).value();
            auto& log = followed.logs[std::string{piece.path}];
            const std::uint64_t before = request.log_offsets.contains(std::string{piece.path})
                                             ? request.log_offsets.at(std::string{piece.path})
                                             : 0;
            if (piece.offset != before + log.size()) throw std::runtime_error("a log piece out of order");
            log += piece.bytes;
        }
        worker.send_as(id, FrameType::kCredit, protocol::encode_credit(frame.payload.size()));
    });
    followed.end = WorkerProcess::read_reply<protocol::AttachEnd>(end);
    return followed;
}

Followed follow(WorkerProcess& worker, const protocol::RunKey& run) {
    protocol::Attach request;
    request.run = run;
    return follow(worker, request);
}

protocol::RunKey run_key(std::string id, int attempt) {
    return {RunId{std::move(id)}, Attempt{attempt}};
}

language::PlannedCase argv_case(std::string key, std::vector<std::string> argv) {
    language::PlannedCase planned;
    planned.key = CaseKey{std::move(key)};
    planned.step = planned.key.value;
    planned.kind = "command";
    planned.argv = std::move(argv);
    planned.timeout = std::chrono::seconds{60};
    planned.exit_code_is_verdict = true;
    return planned;
}

language::PlannedCase shell_case(std::string key, std::string script) {
    return argv_case(std::move(key), {"sh", "-c", std::move(script)});
}

language::Plan plan_of(std::vector<language::PlannedCase> cases) {
    language::Plan plan;
    plan.name = plan.subject = "worker test";
    plan.cases = std::move(cases);
    return plan;
}

protocol::Launch launch_of(const protocol::RunKey& run, const language::Plan& plan) {
    return {run, "name: worker test\n", boost::json::serialize(language::to_json(plan)), {}};
}

Followed run_plan(WorkerProcess& worker, const protocol::RunKey& run, const language::Plan& plan) {
    worker.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(run, plan)));
    return follow(worker, run);
}

void eventually(const std::function<bool()>& condition, std::string_view what,
                std::chrono::seconds deadline) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) throw std::runtime_error("never: " + std::string{what});
        ::poll(nullptr, 0, 2);
    }
}

long peak_rss_kib(pid_t pid) {
    constexpr std::string_view kField = "VmHWM:";
    const std::string status = read_text("/proc/" + std::to_string(pid) + "/status");
    const std::size_t at = status.find(kField);
    if (at == std::string::npos) throw std::runtime_error("no such process");
    return std::stol(status.substr(at + kField.size()));
}

std::string read_text(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

bool process_exists(pid_t pid) {
    const auto stat = posix::parse_proc_stat(posix::read_proc("/proc/" + std::to_string(pid) + "/stat"));
    return stat && stat->state != 'Z';
}

}  // namespace nsa::test
