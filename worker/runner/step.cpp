#include "runner/step.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "posix/errno_error.hpp"
#include "runner/disk.hpp"
#include "runner/leftovers.hpp"

namespace nsa::runner {
namespace {

using Clock = std::chrono::steady_clock;

Result<UniqueFd> create_log(int folder, const char* name) {
    // Append: a program that truncates or seeks its own output cannot make holes in what was streamed.
    UniqueFd file{
        ::openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644)};
    if (!file) return posix::errno_error(errno, std::string{"create "} + name);
    return file;
}

std::uint64_t size_of(const UniqueFd& file) {
    struct stat info {};
    return ::fstat(file.get(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

// How often output and disk are looked at. Silence is noticed at most an eighth late.
Duration sampling_of(const Limits& limits) {
    constexpr Duration kSlowest{1'000}, kFastest{10};
    return limits.silence.count() > 0 ? std::clamp(limits.silence / 8, kFastest, kSlowest) : kSlowest;
}

}  // namespace

Result<Step> Step::start(EventLoop& loop, StepCommand command, int folder) {
    Step step;
    step.command_ = std::move(command);
    auto out = create_log(folder, journal::kStdout);
    if (!out) return out.error();
    auto err = create_log(folder, journal::kStderr);
    if (!err) return err.error();
    step.stdout_ = std::move(*out);
    step.stderr_ = std::move(*err);
    if (step.command_.oom != nullptr) step.oom_before_ = step.command_.oom->kills();
    step.started_ = Clock::now();
    failpoint("worker.step.before_spawn");
    const posix::SpawnRequest request{.program = step.command_.argv.front(),
                                      .argv = step.command_.argv,
                                      .environment = step.command_.environment,
                                      .cwd = step.command_.cwd,
                                      .stdout_fd = step.stdout_.get(),
                                      .stderr_fd = step.stderr_.get()};
    auto process = posix::ChildProcess::start(loop.context(), request);
    if (process) {
        step.process_ = std::move(*process);
    } else {
        step.not_started_ = process.error().describe();
    }
    failpoint("worker.step.after_spawn");
    return step;
}

void Step::kill() {
    disk_full_ = true;
    kill_group(pid());
}

bool Step::clean_up() const {
    if (command_.may_leave_services) {
        kill_group(pid());
        return true;
    }
    return kill_leftovers(pid(), command_.spared, language::kLeftoversWait);
}

// What the limits say now; false: the process is given up.
bool Step::enforce(LimitWatch& watch, Instant now) const {
    switch (watch.step(now)) {
        case Action::kTerm:
            failpoint("worker.step.before_term");
            ::kill(-pid(), SIGTERM);
            break;
        case Action::kKill:
            failpoint("worker.step.before_kill");
            ::kill(-pid(), SIGKILL);
            break;
        case Action::kGiveUp:
            return false;
        case Action::kNone:
            break;
    }
    return true;
}

// What the wait status does not say.
void Step::explain(StepResult& result, bool clean) const {
    const auto add = [&](const std::string& text) {
        result.end.detail += (result.end.detail.empty() || text.empty() ? "" : "; ") + text;
    };
    if (!clean && !result.unkillable) {
        result.unkillable = true;
        add("unkillable: a process that it left behind survived SIGKILL");
    }
    const bool failed = result.end.signal != 0 || result.end.exit_code != 0;
    if (failed && command_.oom != nullptr) add(command_.oom->since(oom_before_));
}

StepResult Step::wait(EventLoop& loop, int run_dir) {
    StepResult result;
    if (!process_) {
        result.end.kind = language::EndKind::kNotStarted;
        result.end.detail = not_started_;
        return result;
    }
    LimitWatch watch{command_.limits, started_};
    if (disk_full_) watch.stop(StopReason::kDiskFull);
    const Duration sampling = sampling_of(command_.limits);
    Instant next_sample = started_ + sampling;
    std::uint64_t output = 0;
    for (process_->look(); !process_->exit(); process_->look()) {
        const Instant now = Clock::now();
        if (now >= next_sample) {
            const std::uint64_t size = size_of(stdout_) + size_of(stderr_);
            if (size != output) watch.saw_output(now);
            output = size;
            if (has_no_room(run_dir)) watch.stop(StopReason::kDiskFull);
            next_sample = now + sampling;
        }
        if (loop.stop_signal() != 0) watch.stop(StopReason::kCancel);
        if (!enforce(watch, now)) break;
        loop.wait(std::min(watch.next().value_or(next_sample), next_sample));
    }
    failpoint("worker.step.ended");
    const auto& exit = process_->exit();
    result.unkillable = !exit;
    result.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
    const bool clean = clean_up();
    result.end =
        process_end(exit ? std::optional{exit->status} : std::nullopt, watch.reason(), command_.limits);
    explain(result, clean);
    result.disk_full = watch.reason() == StopReason::kDiskFull;
    if (exit) result.max_rss_kib = exit->max_rss_kib;
    result.stdout_bytes = size_of(stdout_);
    result.stderr_bytes = size_of(stderr_);
    return result;
}

}  // namespace nsa::runner
