#include "runner/run_context.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "journal/run_dir.hpp"
#include "posix/errno_error.hpp"
#include "posix/files.hpp"
#include "runner/environment.hpp"

namespace nsa::runner {

using language::EndKind;
using language::RunEnd;

namespace {

std::string variable(const posix::Environment& environment, const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string{} : found->second;
}

}  // namespace

RunContext::RunContext(std::string directory, int run_dir, const SupervisorOptions& options,
                       LaunchFiles launch, Recorder& recorder, EventLoop& loop)
    : directory_{std::move(directory)},
      run_dir_{run_dir},
      options_{options},
      launch_{std::move(launch)},
      recorder_{recorder},
      loop_{loop},
      home_{variable(options.host, "HOME")} {}

std::string RunContext::expand(const std::string& text) const {
    return expand_home(text, home_);
}

posix::Environment RunContext::environment(const std::map<std::string, std::string>& planned,
                                           const std::string& folder) const {
    return step_environment(options_.host, planned, {directory_, folder});
}

Limits RunContext::limits(language::Duration wall, language::Duration silence) const {
    return {.wall = wall, .silence = silence, .grace = options_.grace, .kill_wait = options_.kill_wait};
}

bool RunContext::should_stop() {
    loop_.poll();
    const auto written = recorder_.flush();
    if (ending_.end != RunEnd::kCompleted) return true;
    const bool cancelled = ::faccessat(run_dir_, journal::kCancelFile, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (cancelled) {
        ending_ = {RunEnd::kCancelled, "cancelled on request"};
    } else if (loop_.stop_signal() != 0) {
        ending_ = {RunEnd::kWorkerError, "the supervisor was stopped by signal " +
                                             std::to_string(loop_.stop_signal()) +
                                             " without a cancel request: shutdown, or a limit of the host"};
    } else if (!written && !recorder_.ran_out_of_space()) {
        ending_ = failed(written.error());
    } else if (recorder_.ran_out_of_space() || has_no_room(run_dir_)) {
        ending_ = {RunEnd::kDiskFull, "the disk of the run directory is full (ENOSPC)"};
    }
    return ending_.end != RunEnd::kCompleted;
}

void RunContext::end_with(RunEnd end, std::string detail) {
    if (ending_.end == RunEnd::kCompleted) ending_ = {end, std::move(detail)};
}

const Ending& RunContext::conclude() {
    if (interrupted_ || recorder_.ran_out_of_space()) should_stop();
    return ending_;
}

Result<UniqueFd> RunContext::make_folder(std::string_view parent, const std::string& name,
                                         std::vector<std::string> globs) {
    const std::string path = std::string{parent} + "/" + name;
    const auto dir = posix::open_dir_below(run_dir_, std::string{parent}, posix::Missing::kCreate);
    if (!dir) return dir.error();
    if (::mkdirat(dir->get(), name.c_str(), 0755) != 0)
        return posix::errno_error(errno, "make folder " + path);
    auto made = posix::open_dir_below(dir->get(), name, posix::Missing::kFail);
    if (made) ran_.push_back({path, std::move(globs)});
    return made;
}

Result<Step> RunContext::start(StepCommand command, int folder) {
    auto argv = resolve_argv(command.argv, launch_.tools, variable(command.environment, "PATH"), home_);
    if (!argv) return fail(argv.error().code, argv.error().text);
    command.argv = std::move(*argv);
    command.oom = &oom_;
    return Step::start(loop_, std::move(command), folder);
}

StepResult RunContext::wait(Step& step) {
    StepResult result = step.wait(loop_, run_dir_);
    if (result.disk_full) recorder_.note_out_of_space();
    interrupted_ = interrupted_ || result.end.kind == EndKind::kCancelled;
    if (result.unkillable)
        end_with(RunEnd::kWorkerError, "a process survived SIGKILL: the host needs somebody to look at it");
    return result;
}

language::ProcessEnd RunContext::not_started(const Error& why) {
    if (why.code == ErrorCode::kNoSpace) recorder_.note_out_of_space();
    language::ProcessEnd end;
    end.kind = EndKind::kNotStarted;
    end.detail = why.describe();
    return end;
}

}  // namespace nsa::runner
