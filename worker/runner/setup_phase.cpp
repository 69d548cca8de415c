#include "runner/setup_phase.hpp"

#include <filesystem>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "runner/leftovers.hpp"

namespace nsa::runner {
namespace {

using language::EndKind;
using language::ProcessEnd;

std::string describe(const ProcessEnd& end) {
    std::string text{language::to_string(end.kind)};
    if (end.kind == EndKind::kExited) text += " with " + std::to_string(end.exit_code);
    if (end.signal != 0) text += ", signal " + std::to_string(end.signal);
    return end.detail.empty() ? text : text + ": " + end.detail;
}

language::SetupFinished run_command(RunContext& run, int index, const language::SetupCommand& command,
                                    language::Duration wall) {
    language::SetupFinished finished;
    finished.index = index;
    finished.title = command.title;
    const std::string creates = run.expand(command.creates);
    std::error_code unreadable;
    if (!creates.empty() && std::filesystem::exists(creates, unreadable)) {
        finished.end.detail = "skipped: " + creates + " is there";
        return finished;
    }
    const std::string name = std::to_string(index);
    const auto folder = run.make_folder(journal::kSetupFolder, name);
    if (!folder) {
        finished.end = run.not_started(folder.error());
        return finished;
    }
    StepCommand program;
    program.cwd = run.directory() + "/" + journal::kSetupFolder;
    program.environment = run.environment(command.env, program.cwd + "/" + name);
    program.limits = run.limits(wall, {});
    program.may_leave_services = true;
    for (const std::string& argument : command.argv)
        program.argv.push_back(run.expand(argument));
    auto step = run.start(std::move(program), folder->get());
    if (!step) {
        finished.end = run.not_started(step.error());
        return finished;
    }
    const StepResult result = run.wait(*step);
    finished.end = result.end;
    finished.seconds = result.seconds;
    return finished;
}

}  // namespace

std::set<pid_t> run_setup(RunContext& run) {
    using Clock = std::chrono::steady_clock;
    // One budget for all commands: timeouts.setup is the setup's, not a command's.
    const language::Duration budget = run.plan().timeouts.setup;
    const auto deadline = Clock::now() + budget;
    int index = 0;
    for (const language::SetupCommand& command : run.plan().setup) {
        if (run.should_stop()) return {};
        failpoint("worker.setup.before_command");
        const auto left = std::chrono::duration_cast<language::Duration>(deadline - Clock::now());
        const auto wall = budget.count() == 0 ? budget : std::max(left, language::Duration{1});
        language::SetupFinished finished = run_command(run, index, command, wall);
        const ProcessEnd end = finished.end;
        const bool succeeded = end.kind == EndKind::kExited && end.exit_code == 0;
        if (!succeeded && !run.should_stop()) {
            run.end_with(language::RunEnd::kSetupFailed, "setup command " + std::to_string(index) + " (" +
                                                             command.argv.front() + ") " + describe(end));
        }
        run.recorder().append(std::move(finished));
        if (!succeeded) return {};
        failpoint("worker.setup.after_command");
        ++index;
    }
    return own_children();
}

}  // namespace nsa::runner
