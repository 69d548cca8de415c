// A real `nsa-worker serve` child over pipes, and a home of its own. Every wait has a deadline: a test that
// would hang throws instead.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "language/plan.hpp"
#include "posix/spawn.hpp"
#include "protocol/frame.hpp"
#include "protocol/messages.hpp"
#include "system/unique_fd.hpp"

namespace nsa::test {

// A new folder that goes away, with what is in it, at the end.
class TempDir {
  public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

// nsa-worker-lab: the same objects with live failpoints and a boot id that can be set.
enum class Program { kWorker, kLab };

struct ServeStart {
    bool greet = true;  // says hello
    Program program = Program::kWorker;
    posix::Environment also{};  // beside ours
    int kill_wait_ms = 5000;
    int client_silence_ms = 300'000;
    std::string cgroup{};  // folder of a memory cgroup that serve and its runs live in
};

class WorkerProcess {
  public:
    // Starts serve with short grace times.
    explicit WorkerProcess(const std::filesystem::path& home, const ServeStart& start = {});
    ~WorkerProcess();  // kills serve, never the runs
    WorkerProcess(const WorkerProcess&) = delete;
    WorkerProcess& operator=(const WorkerProcess&) = delete;

    std::uint32_t send(protocol::FrameType type, std::string_view payload);
    void send_as(std::uint32_t request, protocol::FrameType type, std::string_view payload);
    void send_raw(std::string_view bytes);
    protocol::Frame next();  // throws at the end of the stream and after 30 s
    // The answer of a request; data frames before it go to `on_data`, other requests' frames are dropped.
    protocol::Frame answer(std::uint32_t request,
                           const std::function<void(const protocol::Frame&)>& on_data = {});

    template <class Reply>
    Reply ask(protocol::FrameType type, std::string_view payload) {
        return read_reply<Reply>(answer(send(type, payload)));
    }
    template <class Reply>
    static Reply read_reply(const protocol::Frame& frame) {
        if (frame.type == protocol::FrameType::kError) {
            throw std::runtime_error("refused: " + protocol::decode_error(frame.payload).describe());
        }
        return protocol::decode<Reply>(frame.payload).value();
    }
    // The error a request is refused with; throws when it was not.
    Error refused(protocol::FrameType type, std::string_view payload);

    pid_t pid() const { return pid_; }
    void kill_hard();
    void close_stdin();
    int wait();  // exit code, or 128 + signal

  private:
    pid_t pid_ = 0;
    UniqueFd to_, from_;
    protocol::FrameReader reader_;
    std::uint32_t last_request_ = 0;
};

// What an attach delivered.
struct Followed {
    std::string journal;
    std::map<std::string, std::string> logs;
    protocol::AttachEnd end;

    std::vector<language::Event> events() const;
    template <class Body>
    std::vector<Body> all() const {
        std::vector<Body> out;
        for (const auto& event : events()) {
            if (const auto* body = std::get_if<Body>(&event.body)) out.push_back(*body);
        }
        return out;
    }
    language::CaseFinished finished(std::string_view key) const;  // throws when there is none
};

// Attaches and returns the credit of every piece, until the end.
Followed follow(WorkerProcess& worker, protocol::Attach request);
Followed follow(WorkerProcess& worker, const protocol::RunKey& run);

protocol::RunKey run_key(std::string id, int attempt = 1);
// A case of kind command with limits far away.
language::PlannedCase shell_case(std::string key, std::string script);
language::PlannedCase argv_case(std::string key, std::vector<std::string> argv);
protocol::Launch launch_of(const protocol::RunKey& run, const language::Plan& plan);
language::Plan plan_of(std::vector<language::PlannedCase> cases);

// Launches and follows to the end.
Followed run_plan(WorkerProcess& worker, const protocol::RunKey& run, const language::Plan& plan);

// Polls until true; throws after `deadline`.
void eventually(const std::function<bool()>& condition, std::string_view what,
                std::chrono::seconds deadline = std::chrono::seconds{20});

// Peak resident memory of a process, and what a program that keeps a bounded part of a stream may need.
long peak_rss_kib(pid_t pid);
#ifdef __SANITIZE_ADDRESS__
inline constexpr long kBoundedKib = 512L * 1024;  // the sanitizer holds freed memory back
#else
inline constexpr long kBoundedKib = 64L * 1024;
#endif

std::string read_text(const std::filesystem::path& path);
bool process_exists(pid_t pid);

}  // namespace nsa::test
