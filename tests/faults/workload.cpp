#include "workload.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "specs.hpp"
#include "support/run.hpp"

namespace nsa::faults {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr int kLooked = 200;  // newest runs in one look
constexpr milliseconds kTurn{12};
constexpr api::ClientDeadlines kDeadlines{.answer = milliseconds{60'000}};
static_assert(kDeadlines.answer < kAnswered && kDeadlines.probe < kAnswered);

asio::awaitable<void> pause_for(milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

std::string marked(const Trial& trial, const std::string& script) {
    return "echo \"$NSA_RUN_DIR\" >> '" + trial.marks().string() + "'\n" + script;
}

std::string short_step(const Trial& trial) {
    return marked(trial,
                  "head -c 2000 /dev/urandom | base64\nhead -c 300 /dev/urandom | base64 >&2\n"
                  "head -c 5000 /dev/urandom > data.txt");
}

Workload::Workload(asio::io_context& io, const Trial& trial, WorkloadShape shape, std::uint64_t seed)
    : io_(io),
      trial_(trial),
      shape_(std::move(shape)),
      random_(seed),
      client_(trial.state() / "nsad.sock", kDeadlines) {
    if (!shape_.script) shape_.script = [this](int) { return short_step(trial_); };
}

void Workload::use_socket(const std::filesystem::path& socket) {
    client_ = api::Client(socket, kDeadlines);
}

void Workload::add(const std::string& key, const std::string& script, const std::string& instance) {
    add_spec(key, test::shell_spec(script), instance);
}

void Workload::add_spec(const std::string& key, const std::string& yaml, const std::string& instance) {
    wanted_[key] = {yaml, instance, false};
    submissions_[key];
}

bool Workload::cancel(const std::string& key) {
    const std::optional<RunId> run = id_of(key);
    if (!run) return false;
    submissions_.at(key).cancel_asked = true;  // before the call: its answer may never come
    return test::run(io_, client_.cancel(*run), kAnswered).has_value();
}

std::optional<language::RunState> Workload::state_of(const RunId& run) {
    const Result<api::RunView> view = test::run(io_, client_.wait_run(run, 0, milliseconds{0}), kAnswered);
    if (!view) return std::nullopt;
    return view->state;
}

std::optional<RunId> Workload::id_of(const std::string& key) const {
    const auto found = submissions_.find(key);
    if (found == submissions_.end() || !found->second.run) return std::nullopt;
    return RunId{*found->second.run};
}

bool Workload::is_done(const std::string& key) const {
    const std::optional<RunId> run = id_of(key);
    return run && done_.contains(run->value);
}

std::size_t Workload::in_flight() const {
    std::size_t open = 0;
    for (const auto& [key, submission] : submissions_) {
        if (wanted_.at(key).counts && !(submission.run && done_.contains(*submission.run))) ++open;
    }
    return open;
}

asio::awaitable<void> Workload::ask(std::string key) {
    const Wanted& wanted = wanted_.at(key);
    api::SubmitRequest request;
    request.spec_yaml = wanted.yaml;
    request.file = "lab.yaml";
    request.instance = wanted.instance;
    request.idempotency_key = key;
    const Result<api::SubmitReply> reply = co_await client_.submit(request);
    if (reply) submissions_[key].run = reply->run.value;
}

asio::awaitable<void> Workload::cancel_one() {
    for (auto& [key, submission] : submissions_) {
        if (!wanted_.at(key).counts || !submission.run || done_.contains(*submission.run)) continue;
        submission.cancel_asked = true;  // before the call: its answer may never come
        const RunId run{*submission.run};
        const Result<api::RunView> ignored = co_await client_.cancel(run);
        co_return;
    }
}

asio::awaitable<bool> Workload::refresh() {
    const Result<std::vector<api::RunView>> runs = co_await client_.list_runs(kLooked);
    if (!runs) co_return false;
    for (const api::RunView& run : *runs)
        note_end(run);
    if (!settling_) co_return true;
    // An old run may stand behind more new ones than a list holds.
    for (const auto& [key, submission] : submissions_) {
        if (!submission.run || done_.contains(*submission.run)) continue;
        const RunId open{*submission.run};
        const Result<api::RunView> run = co_await client_.wait_run(open, 0, milliseconds{0});
        if (run) note_end(*run);
        break;  // the next one at the next look
    }
    co_return true;
}

void Workload::note_end(const api::RunView& run) {
    if (run.state == language::RunState::kDone && !run.report_path.empty()) done_.insert(run.run.value);
}

asio::awaitable<void> Workload::loop() {
    while (!stop_) {
        const bool answered = co_await refresh();
        std::string key;
        for (const auto& [asked, submission] : submissions_) {
            if (!submission.run) key = asked;
        }
        const bool room = !settling_ && in_flight() < static_cast<std::size_t>(shape_.in_flight);
        if (key.empty() && room) {
            key = "k" + std::to_string(made_);
            wanted_[key] = {test::shell_spec(shape_.script(made_)),
                            shape_.instances[static_cast<std::size_t>(made_) % shape_.instances.size()]};
            submissions_[key];
            ++made_;
        }
        if (answered && !key.empty()) co_await ask(key);
        if (answered && !settling_ && draw(shape_.cancel_percent)) co_await cancel_one();
        const bool busy = answered && room && !stop_;
        if (!busy) co_await pause_for(answered ? kTurn : milliseconds{2});
    }
}

void Workload::work_until(Clock::time_point until) {
    if (!working_) {
        stop_ = false;
        working_ = true;
        asio::co_spawn(io_, loop(), [this](std::exception_ptr error) {
            working_ = false;
            thrown_ = error;
        });
    }
    io_.restart();
    while (Clock::now() < until && io_.run_one_until(until) != 0) {
    }
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

void Workload::daemon_died() {
    stop_ = true;
    io_.restart();
    while (working_ && io_.run_one() != 0) {
    }
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

std::string Workload::settle(milliseconds limit) {
    settling_ = true;
    const Clock::time_point deadline = Clock::now() + limit;
    const auto open = [this] {
        std::string text;
        for (const auto& [key, submission] : submissions_) {
            if (!submission.run) text += key + " is not acknowledged; ";
            if (submission.run && !done_.contains(*submission.run)) text += *submission.run + " has no end; ";
        }
        return text;
    };
    while (!open().empty() && Clock::now() < deadline)
        work_until(std::min(deadline, Clock::now() + milliseconds{20}));
    stop_ = true;  // the daemon lives: calls in flight end by themselves
    io_.restart();
    while (working_ && io_.run_one() != 0) {
    }
    settling_ = false;
    return open();
}

}  // namespace nsa::faults
