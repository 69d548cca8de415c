#include "runner/supervisor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>

#include "journal/lock.hpp"
#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "language/judge.hpp"
#include "posix/files.hpp"
#include "posix/identity.hpp"
#include "probe/probe.hpp"
#include "runner/ending.hpp"
#include "runner/environment.hpp"
#include "runner/gating.hpp"
#include "runner/leftovers.hpp"
#include "runner/plan_files.hpp"
#include "runner/recorder.hpp"
#include "runner/records.hpp"
#include "runner/step.hpp"

namespace nsa::runner {
namespace {

using language::EndKind;
using language::RunEnd;

// Waivers expire by the day, in UTC.
std::string today() {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char text[16];
    std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
    return text;
}

language::ProcessEnd not_started(std::string why) {
    language::ProcessEnd end;
    end.kind = EndKind::kNotStarted;
    end.detail = std::move(why);
    return end;
}

std::string describe(const language::ProcessEnd& end) {
    std::string text{language::to_string(end.kind)};
    if (end.kind == EndKind::kExited) text += " with " + std::to_string(end.exit_code);
    if (end.signal != 0) text += ", signal " + std::to_string(end.signal);
    return end.detail.empty() ? text : text + ": " + end.detail;
}

class Supervisor {
  public:
    Supervisor(std::string directory, int run_dir, const SupervisorOptions& options, Recorder& recorder,
               EventLoop loop)
        : directory_{std::move(directory)},
          run_dir_{run_dir},
          options_{options},
          recorder_{recorder},
          loop_{std::move(loop)},
          home_{variable("HOME")} {}

    Result<void> run() {
        auto launched = begin();
        if (!launched) return finish({RunEnd::kWorkerError, launched.error().describe()});
        launch_ = std::move(*launched);
        if (const auto setup = run_setup(); !setup) return setup.error();
        for (const auto& planned : launch_.plan.cases) {
            if (should_stop()) break;
            if (const auto done = run_case(planned); !done) return done.error();
        }
        // A stop that hit the last case is the run's end as well; one that came after it changes nothing.
        if (interrupted_ || recorder_.ran_out_of_space()) should_stop();
        return finish(ending_);
    }

  private:
    std::string variable(const std::string& name) const {
        const auto found = options_.host.find(name);
        return found == options_.host.end() ? std::string{} : found->second;
    }

    Result<LaunchFiles> begin() {
        const auto self = posix::identity_of(::getpid());
        if (!self) return self.error();
        recorder_.append(language::RunStarted{self->pid, self->start_ticks, self->boot_id, posix::host_name(),
                                              options_.worker_version});
        failpoint("worker.run_started.before_commit");
        // Durable before anything else: whoever launched waits for it.
        if (const auto committed = recorder_.commit(); !committed) return committed.error();
        failpoint("worker.run_started.after_commit");
        auto launched = read_launch_files(run_dir_);
        if (launched) {
            const probe::ProbeOptions probing{
                .disk = directory_, .environment = options_.host, .gpu_deadline = options_.probe_deadline};
            recorder_.append(language::HostProbed{probe::probe_host(probing)});
            failpoint("worker.host.probed");
        }
        return launched;
    }

    // Decides whether the run goes on; why not is kept for its end.
    bool should_stop() {
        loop_.poll();
        // Whoever follows the run sees what is over before the next thing starts.
        const auto written = recorder_.flush();
        if (ending_.end != RunEnd::kCompleted) return true;
        const bool cancelled = ::faccessat(run_dir_, journal::kCancelFile, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        if (cancelled) {
            ending_ = {RunEnd::kCancelled, "cancelled on request"};
        } else if (loop_.stop_signal() != 0) {
            ending_ = {RunEnd::kWorkerError,
                       "the supervisor was stopped by signal " + std::to_string(loop_.stop_signal()) +
                           " without a cancel request: shutdown, or a limit of the host"};
        } else if (!written && !recorder_.ran_out_of_space()) {
            ending_ = {RunEnd::kWorkerError, written.error().describe()};
        } else if (recorder_.ran_out_of_space() || is_disk_full(run_dir_)) {
            ending_ = {RunEnd::kWorkerError, "the disk of the run directory is full (ENOSPC)"};
        }
        return ending_.end != RunEnd::kCompleted;
    }

    Limits limits(language::Duration wall, language::Duration silence) const {
        return {.wall = wall, .silence = silence, .grace = options_.grace, .kill_wait = options_.kill_wait};
    }

    // A new folder below the run directory: nothing that an earlier step planted there is ever used.
    Result<posix::UniqueFd> make_folder(const std::string& parent, const std::string& name) {
        const auto dir = posix::open_dir_below(run_dir_, parent, posix::Missing::kCreate);
        if (!dir) return dir.error();
        if (::mkdirat(dir->get(), name.c_str(), 0755) != 0) {
            return posix::errno_error(errno, "make folder " + parent + "/" + name);
        }
        return posix::open_dir_below(dir->get(), name, posix::Missing::kFail);
    }

    void note(const StepResult& result) {
        if (result.disk_full) recorder_.note_out_of_space();
        interrupted_ = interrupted_ || result.end.kind == EndKind::kCancelled;
        if (result.unkillable && ending_.end == RunEnd::kCompleted) {
            ending_ = {RunEnd::kWorkerError,
                       "a process survived SIGKILL: the host needs somebody to look at it"};
        }
    }

    Result<void> run_setup() {
        using Clock = std::chrono::steady_clock;
        // One budget for all commands: timeouts.setup is the setup's, not a command's.
        const auto budget = launch_.plan.timeouts.setup;
        const auto deadline = Clock::now() + budget;
        int index = 0;
        for (const auto& command : launch_.plan.setup) {
            if (should_stop()) return {};
            failpoint("worker.setup.before_command");
            const auto left = std::chrono::duration_cast<language::Duration>(deadline - Clock::now());
            const auto wall = budget.count() == 0 ? budget : std::max(left, language::Duration{1});
            auto finished = run_setup_command(index, command, wall);
            if (!finished) return finished.error();
            const auto& end = finished->end;
            if (end.kind != EndKind::kExited || end.exit_code != 0) {
                if (!should_stop()) {
                    ending_ = {RunEnd::kSetupFailed, "setup command " + std::to_string(index) + " (" +
                                                         command.argv.front() + ") " + describe(end)};
                }
                recorder_.append(std::move(*finished));
                return {};
            }
            recorder_.append(std::move(*finished));
            failpoint("worker.setup.after_command");
            ++index;
        }
        // Services that the setup started on purpose live as long as the run.
        spared_ = own_children();
        return {};
    }

    Result<language::SetupFinished> run_setup_command(int index, const language::SetupCommand& command,
                                                      language::Duration wall) {
        language::SetupFinished finished;
        finished.index = index;
        finished.title = command.title;
        const std::string creates = expand_home(command.creates, home_);
        std::error_code unreadable;
        if (!creates.empty() && std::filesystem::exists(creates, unreadable)) {
            finished.end.detail = "skipped: " + creates + " is there";
            return finished;
        }
        const std::string setup = directory_ + "/" + journal::kSetupFolder;
        auto folder = make_folder(journal::kSetupFolder, std::to_string(index));
        if (!folder) {
            finished.end = not_started(folder.error().describe());
            if (folder.error().code == ErrorCode::kNoSpace) recorder_.note_out_of_space();
            return finished;
        }
        StepCommand step;
        step.environment =
            step_environment(options_.host, command.env, {directory_, setup + "/" + std::to_string(index)});
        step.cwd = setup;
        step.limits = limits(wall, {});
        step.may_leave_services = true;
        ran_.push_back({std::string{journal::kSetupFolder} + "/" + std::to_string(index), {}});
        for (const auto& argument : command.argv)
            step.argv.push_back(expand_home(argument, home_));
        auto started = start(std::move(step), folder->get(), finished.end);
        if (!started) return started.error();
        if (!*started) return finished;
        const StepResult result = (*started)->wait(loop_, run_dir_);
        note(result);
        finished.end = result.end;
        finished.seconds = result.seconds;
        return finished;
    }

    // Nothing: it could not be started, and `end` says why. An Error: no record can be kept.
    Result<std::optional<Step>> start(StepCommand command, int folder, language::ProcessEnd& end) {
        const auto path = command.environment.find("PATH");
        auto argv = resolve_argv(command.argv, launch_.tools,
                                 path == command.environment.end() ? std::string{} : path->second, home_);
        if (!argv) {
            end = not_started(argv.error().text);
            return std::optional<Step>{};
        }
        command.argv = std::move(*argv);
        command.oom = &oom_;
        auto step = Step::start(loop_, std::move(command), folder);
        if (!step) {
            end = not_started(step.error().describe());
            if (step.error().code == ErrorCode::kNoSpace) recorder_.note_out_of_space();
            return std::optional<Step>{};
        }
        return std::optional{std::move(*step)};
    }

    Result<void> run_case(const language::PlannedCase& planned) {
        if (const auto by = gate_.blocked_by(planned)) {
            recorder_.append(language::CaseBlocked{planned.key, *by});
            failpoint("worker.case.blocked");
            gate_.record(planned.key, language::Verdict::kBlocked);
            return {};
        }
        const std::string name = language::case_folder(planned.key);
        const std::string relative = std::string{journal::kStepsFolder} + "/" + name;
        language::CaseFinished finished;
        finished.key = planned.key;
        StepRecords records;
        failpoint("worker.case.before_folder");
        auto folder = make_folder(journal::kStepsFolder, name);
        if (!folder) {
            finished.end = not_started(folder.error().describe());
            if (folder.error().code == ErrorCode::kNoSpace) recorder_.note_out_of_space();
        } else {
            ran_.push_back({relative, planned.artifacts});
            auto executed = execute(planned, directory_ + "/" + relative, folder->get(), finished);
            if (!executed) return executed.error();
            records = std::move(*executed);
        }
        return record(planned, std::move(finished), std::move(records));
    }

    Result<StepRecords> execute(const language::PlannedCase& planned, const std::string& place, int folder,
                                language::CaseFinished& finished) {
        StepCommand command;
        command.argv = planned.argv;
        command.environment = step_environment(options_.host, planned.env, {directory_, place});
        command.cwd = place;
        command.limits = limits(planned.timeout, planned.silence);
        command.spared = spared_;
        auto step = start(std::move(command), folder, finished.end);
        if (!step) return step.error();
        if (!*step) return StepRecords{};
        if ((*step)->pid() != 0) {
            recorder_.append(language::CaseStarted{planned.key, (*step)->pid(), (*step)->argv()});
            // Also has the end of the case before fsynced, while this one already runs. What cannot be
            // recorded must not run; its events wait for the space that the reserve gives back once it is
            // dead.
            if (const auto written = recorder_.flush(); !written) (*step)->kill();
            failpoint("worker.case.started");
        }
        const StepResult result = (*step)->wait(loop_, run_dir_);
        note(result);
        finished.end = result.end;
        finished.seconds = result.seconds;
        finished.stdout_bytes = result.stdout_bytes;
        finished.stderr_bytes = result.stderr_bytes;
        finished.max_rss_kib = result.max_rss_kib;
        return read_records(folder, planned);
    }

    Result<void> record(const language::PlannedCase& planned, language::CaseFinished finished,
                        StepRecords records) {
        for (auto& chunk : in_chunks(planned.key, records))
            recorder_.append(std::move(chunk));
        if (is_disk_full(run_dir_) && finished.end.detail.find("ENOSPC") == std::string::npos) {
            finished.end.detail += (finished.end.detail.empty() ? "" : "; ");
            finished.end.detail += "the disk of the run directory is full (ENOSPC)";
        }
        language::CaseOutcome outcome;
        outcome.end = finished.end;
        outcome.records = std::move(records.records);
        outcome.record_errors = std::move(records.errors);
        gate_.record(planned.key, language::judge(planned, outcome, today()).verdict);
        recorder_.append(std::move(finished));
        failpoint("worker.case.finished");
        return {};
    }

    Result<void> finish(Ending ending) {
        failpoint("worker.end.begin");
        kill_leftovers(0, {}, language::kLeftoversWait);  // services of the setup
        return end_run(run_dir_, recorder_, std::move(ending), ran_, options_.collect);
    }

    std::string directory_;
    int run_dir_;
    SupervisorOptions options_;
    Recorder& recorder_;
    EventLoop loop_;
    OomCounter oom_ = OomCounter::open();
    std::string home_;
    LaunchFiles launch_;
    Gate gate_;
    std::set<pid_t> spared_;
    std::vector<StepFiles> ran_;
    Ending ending_;
    bool interrupted_ = false;  // a program of the run was stopped by a signal to us
};

}  // namespace

Result<void> supervise(const std::string& directory, const SupervisorOptions& options) {
    std::error_code missing;
    const std::string path = std::filesystem::canonical(directory, missing);
    if (missing) return fail(ErrorCode::kNotFound, missing.message(), directory);
    const auto run_dir = posix::open_dir(path);
    if (!run_dir) return run_dir.error();
    const auto lock = journal::try_lock(run_dir->get(), journal::kLockFile);
    if (!lock) return lock.error();
    failpoint("worker.supervisor.locked");
    auto loop = EventLoop::open();
    if (!loop) return loop.error();
    auto recorder = Recorder::open(run_dir->get());
    if (!recorder) return recorder.error();
    become_reaper();
    return Supervisor{path, run_dir->get(), options, **recorder, std::move(*loop)}.run();
}

}  // namespace nsa::runner
