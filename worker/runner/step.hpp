// One program of a run from its start to its end: its folder, its files, its limits, and nothing of it left.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "language/event.hpp"
#include "posix/child_process.hpp"
#include "runner/event_loop.hpp"
#include "runner/limits.hpp"
#include "runner/oom.hpp"
#include "system/unique_fd.hpp"

namespace nsa::runner {

struct StepCommand {
    std::vector<std::string> argv;  // argv[0] is the program's path
    posix::Environment environment;
    std::string cwd;
    Limits limits;
    const OomCounter* oom = nullptr;  // outlives the step; null: not asked
    std::set<pid_t> spared;           // children of ours that its end leaves alone
    bool may_leave_services = false;  // setup: its group dies with it, what has a session of its own stays
};

struct StepResult {
    language::ProcessEnd end;
    double seconds = 0;
    std::uint64_t stdout_bytes = 0, stderr_bytes = 0;
    std::int64_t max_rss_kib = 0;
    bool unkillable = false;
    bool disk_full = false;
};

class Step {
  public:
    // `folder`: descriptor of the step's new folder; stdout and stderr are made in it. A program that cannot
    // be started is a Step whose wait() says kNotStarted; an Error means that the files could not be made.
    static Result<Step> start(EventLoop& loop, StepCommand command, int folder);

    pid_t pid() const { return process_ ? process_->pid() : 0; }  // 0: not started
    const std::vector<std::string>& argv() const { return command_.argv; }
    // No record of it could be kept: it must not go on. wait() is still to be called.
    void kill();

    // Runs the loop until the end. A stop signal cancels the step; run_dir: whose disk is watched.
    StepResult wait(EventLoop& loop, int run_dir);

  private:
    StepCommand command_;
    UniqueFd stdout_, stderr_;
    std::optional<posix::ChildProcess> process_;
    Instant started_{};
    std::optional<std::uint64_t> oom_before_;
    std::string not_started_;  // why
    bool disk_full_ = false;

    bool enforce(LimitWatch& watch, Instant now) const;
    bool clean_up() const;
    void explain(StepResult& result, bool clean) const;
};

}  // namespace nsa::runner
