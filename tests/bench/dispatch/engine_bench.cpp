// The path below the daemon: connect, control messages, steps, logs and files.
#include <fmt/format.h>
#include <time.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fstream>
#include <stdexcept>

#include "engine_ssh/ssh_engine.hpp"
#include "engines/worker_client.hpp"
#include "language/event.hpp"
#include "language/hash.hpp"
#include "language/plan.hpp"
#include "sections.hpp"
#include "support/run.hpp"

namespace nsa::bench {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using engines::WorkerClient;

constexpr int kConnects = 15, kPings = 2000, kPipelined = 20'000, kInFlight = 32;
constexpr int kStarts = 15, kSteps = 300, kInstances = 8, kStepsEach = 250, kFiles = 10'000, kLines = 300;
constexpr auto kLimit = 120s;

template <class T>
T need(Result<T> result) {
    if (!result) throw std::runtime_error{result.error().describe()};
    return std::move(*result);
}

void need(const Result<void>& result) {
    if (!result) throw std::runtime_error{result.error().describe()};
}

language::PlannedCase noop(int index) {
    language::PlannedCase planned;
    planned.key = CaseKey{fmt::format("noop[i={}]", index)};
    planned.step = "noop";
    planned.kind = "command";
    planned.argv = {"/bin/true"};
    planned.timeout = 60s;
    planned.exit_code_is_verdict = true;
    return planned;
}

language::Plan plan_of(std::vector<language::PlannedCase> cases) {
    language::Plan plan;
    plan.name = plan.subject = "dispatch bench";
    plan.spec_hash = plan.thresholds_hash = sha256_of("bench");
    plan.cases = std::move(cases);
    return plan;
}

language::Plan noops(int count) {
    std::vector<language::PlannedCase> cases;
    for (int i = 0; i < count; ++i)
        cases.push_back(noop(i));
    return plan_of(std::move(cases));
}

protocol::Launch launch_of(const language::Plan& plan) {
    static int runs = 0;
    protocol::Launch launch;
    launch.run.run = RunId{fmt::format("r-bench-{}", ++runs)};
    launch.spec_yaml = "bench";
    launch.plan_json = boost::json::serialize(language::to_json(plan));
    return launch;
}

// Notes when the first step started and the run ended; how old each log line was when it came.
class Watch : public engines::AttachSink {
  public:
    engines::Async<> on_events(std::string lines) override {
        for (std::size_t at = 0; at < lines.size();) {
            const std::size_t end = lines.find('\n', at);
            const auto event = language::event_from_line(std::string_view{lines}.substr(at, end - at));
            if (!event) co_return event.error();
            note(*event);
            at = end + 1;
        }
        co_return Result<void>{};
    }
    engines::Async<> on_log(protocol::LogPiece piece) override {
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME, &now);
        const double now_ms = static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
        for (std::size_t at = 0; at < piece.bytes.size();) {
            const std::size_t end = std::min(piece.bytes.find('\n', at), piece.bytes.size());
            const std::string line{piece.bytes.substr(at, end - at)};
            if (line.find('.') != std::string::npos) line_ages.push_back(now_ms - std::stod(line) * 1e3);
            at = end + 1;
        }
        co_return Result<void>{};
    }

    std::optional<Clock::time_point> first_step, last_step;
    std::optional<language::RunFinished> finished;
    std::vector<double> line_ages;  // ms
    int failed = 0;

  private:
    void note(const language::Event& event) {
        if (std::holds_alternative<language::CaseStarted>(event.body) && !first_step)
            first_step = Clock::now();
        if (const auto* end = std::get_if<language::CaseFinished>(&event.body)) {
            last_step = Clock::now();
            failed += end->end.kind != language::EndKind::kExited || end->end.exit_code != 0 ? 1 : 0;
        }
        if (const auto* end = std::get_if<language::RunFinished>(&event.body)) finished = *end;
    }
};

// Launches a plan and follows it to its end. Launch and attach are pipelined, as the daemon may do.
engines::Async<> follow(WorkerClient& client, protocol::Launch launch, Watch& watch) {
    const auto launched = co_await client.launch(launch, 30s);
    if (!launched) co_return launched.error();
    protocol::Attach attach;
    attach.run = launch.run;
    const auto end = co_await client.attach(attach, watch);
    if (!end) co_return end.error();
    if (end->state != protocol::RemoteState::kFinished || watch.failed != 0 || !watch.finished ||
        watch.finished->end != language::RunEnd::kCompleted) {
        co_return fail(ErrorCode::kInternal, "the bench run did not complete", launch.run.run.value);
    }
    co_return Result<void>{};
}

// Writes and hashes what comes, as the daemon does; no fsync: the hashes decide, and a lost file is fetched
// again. A small file may still come in two pieces, where a frame ends.
class Files : public engines::FetchSink {
  public:
    Files(std::filesystem::path folder, const language::Manifest& manifest) : folder_(std::move(folder)) {
        for (const auto& entry : manifest)
            expected_[entry.path] = entry.sha256;
    }
    engines::Async<> on_pieces(std::span<const protocol::FilePiece> pieces) override {
        for (const auto& piece : pieces) {
            if (piece.offset == 0) begin(piece);
            out_.write(piece.bytes.data(), static_cast<std::streamsize>(piece.bytes.size()));
            hasher_.update(piece.bytes);
            if (piece.offset + piece.bytes.size() < piece.file_size) continue;
            out_.close();
            ++count;
            if (!out_ || hasher_.finish() != expected_[path_]) {
                co_return fail(ErrorCode::kCorrupt, "the file did not arrive as it was", path_);
            }
        }
        co_return Result<void>{};
    }
    std::size_t count = 0;

  private:
    void begin(const protocol::FilePiece& piece) {
        path_ = piece.path;
        hasher_ = Sha256Hasher{};
        out_.open(folder_ / std::to_string(count), std::ios::binary);
    }

    std::filesystem::path folder_;
    std::map<std::string, Sha256> expected_;
    std::string path_;
    Sha256Hasher hasher_;
    std::ofstream out_;
};

class Text : public engines::FetchSink {
  public:
    engines::Async<> on_pieces(std::span<const protocol::FilePiece> pieces) override {
        for (const auto& piece : pieces)
            bytes += piece.bytes;
        co_return Result<void>{};
    }
    std::string bytes;
};

class EngineBench {
  public:
    EngineBench(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs)
        : figures_(figures), sshd_(sshd), programs_(programs) {
        engines::SshSettings settings;
        settings.worker = programs.worker;
        engine_ = engines::make_ssh_engine(io_.get_executor(), settings);
    }

    void run() {
        WorkerClient warm = connect("warm");  // pushes the worker
        connects();
        messages(warm);
        steps(warm);
        many_instances();
        logs(warm);
        files(warm);
    }

  private:
    WorkerClient connect(const std::string& home) {
        engines::InstanceConfig config = sshd_.instance(home);
        config.worker_home = "~/" + home;
        auto stream = need(test::run(io_, engine_->open(config)));
        WorkerClient client{io_.get_executor(), std::move(stream), "instance " + home};
        need(test::run(io_, client.hello("dispatch bench", 10s)));
        return client;
    }

    void connects() {
        Figure figure{"cold_connect", "cold connect to the worker's hello", "ms", {}};
        for (int i = 0; i < kConnects; ++i) {
            const auto begin = Clock::now();
            connect("warm");
            figure.samples.push_back(milliseconds_since(begin));
        }
        figure.compared_with = "ssh_cold";
        figures_.add(std::move(figure));
    }

    engines::Async<int> ping_many(WorkerClient& client, int count) {
        for (int i = 0; i < count; ++i) {
            const auto pong = co_await client.ping(10s);
            if (!pong) co_return pong.error();
        }
        co_return count;
    }

    void messages(WorkerClient& client) {
        Figure figure{"warm_control", "control message on a warm connection", "ms", {}};
        for (int i = 0; i < kPings; ++i) {
            const auto begin = Clock::now();
            need(test::run(io_, client.ping(10s)));
            figure.samples.push_back(milliseconds_since(begin));
        }
        figure.compared_with = "ssh_master";
        figures_.add(std::move(figure));

        const auto begin = Clock::now();
        int running = kInFlight;
        for (int i = 0; i < kInFlight; ++i) {
            asio::co_spawn(io_, ping_many(client, kPipelined / kInFlight),
                           [&](std::exception_ptr, Result<int> result) {
                               need(std::move(result));
                               if (--running == 0) io_.stop();
                           });
        }
        io_.restart();
        io_.run_for(kLimit);
        const double rate = kPipelined / milliseconds_since(begin) * 1000;
        figures_.add(
            {"pipelined_control", fmt::format("control messages, {} in flight", kInFlight), "msg/s", {rate}});
    }

    void steps(WorkerClient& client) {
        Figure start{"engine_first_step", "launch to first step started, no daemon", "ms", {}};
        for (int i = 0; i < kStarts; ++i) {
            Watch watch;
            const auto begin = Clock::now();
            need(test::run(io_, follow(client, launch_of(noops(1)), watch), kLimit));
            start.samples.push_back(
                std::chrono::duration<double, std::milli>(*watch.first_step - begin).count());
        }
        start.at_most = 50;
        start.compared_with = "ssh_master";
        figures_.add(std::move(start));

        Figure step{
            "engine_noop_step", fmt::format("one no-op step, of {} in a run, no daemon", kSteps), "ms", {}};
        for (int i = 0; i < 3; ++i) {
            Watch watch;
            need(test::run(io_, follow(client, launch_of(noops(kSteps)), watch), kLimit));
            step.samples.push_back(
                std::chrono::duration<double, std::milli>(*watch.last_step - *watch.first_step).count() /
                kSteps);
        }
        step.at_most = 3;
        step.compared_with = "ssh_master";
        figures_.add(std::move(step));
    }

    void many_instances() {
        std::vector<WorkerClient> clients;
        for (int i = 0; i < kInstances; ++i)
            clients.push_back(connect(fmt::format("i{}", i)));
        std::vector<Watch> watches(kInstances);
        const language::Plan plan = noops(kStepsEach);
        int running = kInstances;
        const auto begin = Clock::now();
        for (int i = 0; i < kInstances; ++i) {
            const auto n = static_cast<std::size_t>(i);
            asio::co_spawn(io_, follow(clients[n], launch_of(plan), watches[n]),
                           [&](std::exception_ptr, Result<void> result) {
                               need(result);
                               if (--running == 0) io_.stop();
                           });
        }
        io_.restart();
        io_.run_for(kLimit);
        if (running != 0) throw std::runtime_error{"the runs on 8 instances did not end"};
        Figure figure{"engine_many",
                      fmt::format("no-op steps over {} instances, no daemon", kInstances),
                      "steps/s",
                      {}};
        figure.samples.push_back(kInstances * kStepsEach / milliseconds_since(begin) * 1000);
        figure.at_least = 500;
        figure.compared_with = "gnu_parallel";
        figures_.add(std::move(figure));
    }

    void logs(WorkerClient& client) {
        language::PlannedCase talker = noop(0);
        talker.argv = {
            "/bin/bash", "-c",
            fmt::format("for ((i = 0; i < {}; i++)); do echo $EPOCHREALTIME; sleep 0.005; done", kLines)};
        Watch watch;
        need(test::run(io_, follow(client, launch_of(plan_of({talker})), watch), kLimit));
        if (watch.line_ages.size() != kLines) throw std::runtime_error{"log lines were lost"};
        Figure figure{"engine_log_line", "live log line, written to received, p95, no daemon", "ms",
                      watch.line_ages, 0.95};
        figure.at_most = 100;
        figures_.add(std::move(figure));
    }

    void files(WorkerClient& client) {
        language::PlannedCase maker = noop(0);
        maker.argv = {
            "/bin/sh", "-c",
            fmt::format("i=0; while [ $i -lt {} ]; do printf %01024d $i > f$i.txt; i=$((i+1)); done",
                        kFiles)};
        maker.artifacts = {"*.txt"};
        Watch watch;
        const protocol::Launch launch = launch_of(plan_of({maker}));
        need(test::run(io_, follow(client, launch, watch), kLimit));
        Figure figure{"engine_files",
                      fmt::format("{} files of 1 KiB home, hashed and written, no daemon", kFiles),
                      "files/s",
                      {}};
        for (int i = 0; i < 3; ++i)
            figure.samples.push_back(fetch_all(client, launch.run, i));
        figure.at_least = 20'000;
        figures_.add(std::move(figure));
    }

    double fetch_all(WorkerClient& client, const protocol::RunKey& run, int round) {
        const auto begin = Clock::now();
        protocol::Fetch fetch;
        fetch.run = run;
        fetch.items.resize(1);
        fetch.items[0].path = "manifest.json";
        Text text;
        need(test::run(io_, client.fetch(fetch, text, 10s), kLimit));
        const auto manifest = need(language::manifest_from_json(boost::json::parse(text.bytes)));
        fetch.items.clear();
        for (const auto& entry : manifest) {
            protocol::FetchItem item;
            item.path = entry.path;
            fetch.items.push_back(std::move(item));
        }
        const std::filesystem::path folder = sshd_.dir() / fmt::format("home-{}", round);
        std::filesystem::create_directories(folder);
        Files files{folder, manifest};
        const auto end = need(test::run(io_, client.fetch(fetch, files, 30s), kLimit));
        if (!end.missing.empty() || files.count < kFiles) throw std::runtime_error{"files are missing"};
        return kFiles / milliseconds_since(begin) * 1000;
    }

    asio::io_context io_;
    Figures& figures_;
    const test::LoopbackSshd& sshd_;
    const Programs& programs_;
    std::unique_ptr<engines::Engine> engine_;
};

}  // namespace

void bench_engine(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs) {
    EngineBench{figures, sshd, programs}.run();
}

}  // namespace nsa::bench
