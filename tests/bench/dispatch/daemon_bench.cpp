// The whole of nsad: API, store with synchronous=FULL, scheduler, engine, worker, and back.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <stdexcept>

#include "api/client.hpp"
#include "engines/child.hpp"
#include "sections.hpp"
#include "support/run.hpp"

namespace nsa::bench {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using api::RunView;

constexpr int kStarts = 15, kSteps = 300, kInstances = 8, kStepsEach = 250, kFiles = 10'000, kLines = 300;
constexpr auto kLimit = 180s;

template <class T>
T need(Result<T> result) {
    if (!result) throw std::runtime_error{result.error().describe()};
    return std::move(*result);
}

// nsad as a child, stopped at the end.
class DaemonProcess {
  public:
    DaemonProcess(const Programs& programs, const std::filesystem::path& state,
                  const std::filesystem::path& artifacts) {
        // By way of setpriv: the kernel ends it with this process, whatever ends that.
        const std::vector<std::string> arguments{
            "--pdeathsig",      "TERM",         programs.nsad.string(),
            "--state-dir",      state.string(), "--artifacts",
            artifacts.string(), "--worker",     programs.worker.string()};
        child_ = need(engines::spawn_child("/usr/bin/setpriv", arguments));
    }
    ~DaemonProcess() {
        ::kill(child_.pid, SIGTERM);
        ::waitpid(child_.pid, nullptr, 0);
    }
    DaemonProcess(const DaemonProcess&) = delete;
    DaemonProcess& operator=(const DaemonProcess&) = delete;

    void require_alive() const {
        siginfo_t end{};
        if (::waitid(P_PID, static_cast<id_t>(child_.pid), &end, WEXITED | WNOHANG | WNOWAIT) != 0 ||
            end.si_pid == 0)
            return;
        char said[2048];
        const ssize_t n = ::read(child_.err.get(), said, sizeof said);
        throw std::runtime_error{
            fmt::format("nsad ended with {} {}: {}", end.si_code == CLD_EXITED ? "exit status" : "signal",
                        end.si_status, std::string(said, static_cast<std::size_t>(n > 0 ? n : 0)))};
    }

  private:
    engines::Child child_;
};

std::string noop_spec(int count) {
    std::string values;
    for (int i = 0; i < count; ++i)
        values += fmt::format("{}{}", i == 0 ? "" : ", ", i);
    return fmt::format(
        "version: 1\nname: noop\nsubject: Dispatch bench\nmatrix:\n  i: [{}]\nsteps:\n  - id: noop\n"
        "    run: [/bin/true, \"${{{{ matrix.i }}}}\"]\n",
        values);
}

std::string script_spec(const std::string& script, const std::string& artifacts) {
    return fmt::format(
        "version: 1\nname: script\nsubject: Dispatch bench\nsteps:\n  - id: script\n    run:\n      - bash\n"
        "      - -c\n      - |\n        {}\n{}",
        script, artifacts.empty() ? "" : fmt::format("    artifacts: [\"{}\"]\n", artifacts));
}

class DaemonBench {
  public:
    DaemonBench(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs)
        : figures_(figures),
          sshd_(sshd),
          state_(sshd.dir() / "state"),
          daemon_(programs, state_, sshd.dir() / "artifacts"),
          client_(state_ / "nsad.sock") {}

    void run() {
        wait_for_api();
        for (int i = 0; i < kInstances; ++i)
            add_instance(fmt::format("d{}", i));
        first_steps();
        steps();
        many_instances();
        logs();
        files();
    }

  private:
    void wait_for_api() {
        asio::steady_timer pause{io_};
        const auto give_up = Clock::now() + 20s;
        while (!test::run(io_, client_.version())) {
            daemon_.require_alive();
            if (Clock::now() > give_up) throw std::runtime_error{"nsad does not answer"};
            pause.expires_after(20ms);
            pause.wait();
        }
    }

    void add_instance(const std::string& name) {
        const engines::InstanceConfig config = sshd_.instance(name);
        api::InstanceRequest request;
        request.name = config.name;
        request.engine = "ssh";
        request.host = config.host;
        request.user = config.user;
        request.port = config.port;
        request.key_file = config.key_file;
        request.host_key = config.host_key;
        request.worker_home = "~/" + name;
        const api::InstanceView view = need(test::run(io_, client_.add_instance(request), kLimit));
        if (view.state != "ready") throw std::runtime_error{name + " is " + view.state + ": " + view.message};
    }

    api::SubmitRequest request(const std::string& spec, const std::string& instance) {
        api::SubmitRequest submit;
        submit.spec_yaml = spec;
        submit.file = "bench.yaml";
        submit.instance = instance;
        return submit;
    }

    // The run's view as soon as `reached` says so.
    api::Async<RunView> submit_until(api::SubmitRequest submit, std::function<bool(const RunView&)> reached) {
        const auto reply = co_await client_.submit(submit);
        if (!reply) co_return reply.error();
        co_return co_await wait_until(reply->run, reached);
    }
    api::Async<RunView> wait_until(RunId run, std::function<bool(const RunView&)> reached) {
        std::uint64_t version = 0;
        for (;;) {
            const auto view = co_await client_.wait_run(run, version, 10s);
            if (!view) co_return view.error();
            if (reached(*view)) co_return *view;
            version = view->version;
        }
    }

    static bool started(const RunView& run) {
        return !run.cases.empty() && run.cases.front().state != "waiting";
    }
    static bool done(const RunView& run) { return run.state == language::RunState::kDone; }
    static void require_pass(const RunView& run) {
        if (run.status != language::Status::kPass)
            throw std::runtime_error{"a bench run did not pass: " + run.message};
    }

    void first_steps() {
        Figure figure{"first_step", "submit to first step started, warm instance", "ms", {}};
        for (int i = 0; i < kStarts; ++i) {
            const auto begin = Clock::now();
            const RunView run =
                need(test::run(io_, submit_until(request(noop_spec(1), "d0"), started), kLimit));
            figure.samples.push_back(milliseconds_since(begin));
            require_pass(need(test::run(io_, wait_until(run.run, done), kLimit)));
        }
        figure.at_most = 50;
        figure.compared_with = "ssh_master";
        figures_.add(std::move(figure));
    }

    // Submit to DONE of many steps in one run: store, judge and report's share included.
    void steps() {
        Figure figure{
            "noop_step", fmt::format("one no-op step, of {} in a run, submit to DONE", kSteps), "ms", {}};
        for (int i = 0; i < 3; ++i) {
            const auto begin = Clock::now();
            require_pass(need(test::run(io_, submit_until(request(noop_spec(kSteps), "d0"), done), kLimit)));
            figure.samples.push_back(milliseconds_since(begin) / kSteps);
        }
        figure.at_most = 3;
        figure.compared_with = "ssh_master";
        figures_.add(std::move(figure));
    }

    void many_instances() {
        const std::string spec = noop_spec(kStepsEach);
        int running = kInstances;
        const auto begin = Clock::now();
        for (int i = 0; i < kInstances; ++i) {
            asio::co_spawn(io_, submit_until(request(spec, fmt::format("d{}", i)), done),
                           [&](std::exception_ptr thrown, Result<RunView> run) {
                               if (thrown) std::rethrow_exception(thrown);
                               require_pass(need(std::move(run)));
                               if (--running == 0) io_.stop();
                           });
        }
        io_.restart();
        io_.run_for(kLimit);
        if (running != 0) throw std::runtime_error{"the runs on 8 instances did not end"};
        Figure figure{
            "many", fmt::format("no-op steps over {} instances, submit to DONE", kInstances), "steps/s", {}};
        figure.samples.push_back(kInstances * kStepsEach / milliseconds_since(begin) * 1000);
        figure.at_least = 500;
        figure.compared_with = "gnu_parallel";
        figures_.add(std::move(figure));
    }

    // As `nsactl logs -f` sees them.
    api::Async<std::vector<double>> follow_log(RunId run) {
        std::vector<double> ages;
        api::LogRequest request;
        request.run = run;
        request.key = CaseKey{"script"};
        request.wait = 5s;
        std::string rest;
        for (;;) {
            const auto chunk = co_await client_.read_log(request);
            if (!chunk) co_return chunk.error();
            timespec now{};
            ::clock_gettime(CLOCK_REALTIME, &now);
            rest += chunk->bytes;
            for (std::size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
                const double written = std::stod(rest.substr(0, end));
                ages.push_back((static_cast<double>(now.tv_sec) - written) * 1e3 +
                               static_cast<double>(now.tv_nsec) / 1e6);
            }
            request.offset = chunk->next_offset;
            if (chunk->complete) co_return ages;
        }
    }

    void logs() {
        const std::string script =
            fmt::format("for ((i = 0; i < {}; i++)); do echo $EPOCHREALTIME; sleep 0.005; done", kLines);
        const RunView run =
            need(test::run(io_, submit_until(request(script_spec(script, ""), "d0"), started), kLimit));
        Figure figure{"log_line", "live log line, written to read by a follower, p95", "ms", {}, 0.95};
        figure.samples = need(test::run(io_, follow_log(run.run), kLimit));
        if (figure.samples.size() != kLines) throw std::runtime_error{"log lines were lost"};
        require_pass(need(test::run(io_, wait_until(run.run, done), kLimit)));
        figure.at_most = 100;
        figures_.add(std::move(figure));
    }

    // From the end on the host to DONE: fetched, hashed, written, judged, published.
    void files() {
        const std::string script =
            fmt::format("for ((i = 0; i < {}; i++)); do printf %01024d $i > f$i.txt; done", kFiles);
        Figure figure{"files",
                      fmt::format("{} files of 1 KiB home, collected, checked, published", kFiles),
                      "files/s",
                      {}};
        for (int i = 0; i < 3; ++i) {
            const auto collecting = [](const RunView& run) {
                return run.state == language::RunState::kCollecting || run.state == language::RunState::kDone;
            };
            const RunView run = need(test::run(
                io_, submit_until(request(script_spec(script, "*.txt"), "d0"), collecting), kLimit));
            const auto begin = Clock::now();
            require_pass(need(test::run(io_, wait_until(run.run, done), kLimit)));
            figure.samples.push_back(kFiles / milliseconds_since(begin) * 1000);
        }
        figure.at_least = 20'000;
        figures_.add(std::move(figure));
    }

    asio::io_context io_;
    Figures& figures_;
    const test::LoopbackSshd& sshd_;
    std::filesystem::path state_;
    DaemonProcess daemon_;
    api::Client client_;
};

}  // namespace

void bench_daemon(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs) {
    DaemonBench{figures, sshd, programs}.run();
}

}  // namespace nsa::bench
