#include "rig.hpp"

#include <boost/asio/steady_timer.hpp>

#include "support/run.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr seconds kServe{60}, kSettle{150}, kProcessesEnd{30};

// Connections of the last daemon's workers end a moment after it.
std::vector<std::string> processes_left(const Trial& trial, boost::asio::io_context& io) {
    const Clock::time_point deadline = Clock::now() + kProcessesEnd;
    std::vector<std::string> left = trial.processes();
    while (!left.empty() && Clock::now() < deadline) {
        boost::asio::steady_timer pause(io, milliseconds{20});
        pause.wait();
        left = trial.processes();
    }
    return left;
}

}  // namespace

Rig::Rig(const Lab& lab, const std::string& name, std::string replay, WorkloadShape shape, std::uint64_t seed)
    : lab_(lab), trial_(lab.folder, name, std::move(replay)), work_(io_, trial_, std::move(shape), seed) {
    fs::create_directories(trial_.root() / "scratch");
    scene_.state = trial_.state();
    scene_.artifacts = trial_.artifacts();
    scene_.worker_homes = {trial_.home() / ".nsa"};
}

void Rig::use_volume(const fs::path& volume) {
    trial_.use_volume(volume);
    scene_.state = trial_.state();
    scene_.artifacts = trial_.artifacts();
    work_.use_socket(trial_.state() / "nsad.sock");
}

std::string Rig::add_local_instances(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        if (local_instances_.emplace(name, false).second) scene_.worker_homes.push_back(trial_.home() / name);
    }
    for (const std::string& name : names) {
        api::InstanceRequest request;
        request.name = {name};
        request.engine = "local";
        request.worker_home = (trial_.home() / name).string();
        const Result<api::InstanceView> added = test::run(io_, work_.api().add_instance(request), kAnswered);
        if (!added) return added.error().describe();
        local_instances_[name] = true;
    }
    return {};
}

std::vector<Violation> Rig::judge_now() {
    try {
        const Books books = read_books(trial_.state(), trial_.root() / "scratch");
        return judge_books(books, read_marks(trial_.marks()), work_.submissions(), scene_, done_);
    } catch (const std::exception& error) {
        return {{"damaged", error.what()}};
    }
}

std::vector<Violation> Rig::judge_end() {
    std::vector<Violation> found = judge_now();
    if (!found.empty()) return found;
    const Books books = read_books(trial_.state(), trial_.root() / "scratch");
    found = judge_settled(books, read_host_runs(scene_.worker_homes), read_marks(trial_.marks()), scene_);
    for (const std::string& process : processes_left(trial_, io_))
        found.push_back({"stray process", process});
    return found;
}

std::vector<Violation> Rig::settle(double* served_ms) {
    LabDaemon daemon(trial_, released());
    if (!daemon.serves(io_, kServe))
        return {{"no start", "the last daemon does not serve; see nsad.out and nsad.log"}};
    if (served_ms != nullptr)
        *served_ms = std::chrono::duration<double, std::milli>(Clock::now() - daemon.started()).count();
    std::vector<std::string> missing;
    for (const auto& [name, confirmed] : local_instances_) {
        if (!confirmed) missing.push_back(name);
    }
    if (const std::string refused = add_local_instances(missing); !refused.empty())
        return {{"no start", refused}};
    const std::string open = work_.settle(kSettle);
    if (!open.empty()) return {{"unfinished", open}};
    if (!daemon.stop()) return {{"no end", "the daemon does not end within 5 s of SIGTERM"}};
    return judge_end();
}

}  // namespace nsa::faults
