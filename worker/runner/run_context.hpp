// What the phases of a supervised run share: its place, its pen, its loop, what ran so far, and why it ends.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runner/ending.hpp"
#include "runner/plan_files.hpp"
#include "runner/recorder.hpp"
#include "runner/step.hpp"
#include "runner/supervisor.hpp"
#include "system/unique_fd.hpp"

namespace nsa::runner {

class RunContext {
  public:
    // directory: the absolute path of run_dir. Options, recorder and loop outlive the object.
    RunContext(std::string directory, int run_dir, const SupervisorOptions& options, LaunchFiles launch,
               Recorder& recorder, EventLoop& loop);

    const language::Plan& plan() const { return launch_.plan; }
    const std::string& directory() const { return directory_; }
    int run_dir() const { return run_dir_; }
    Recorder& recorder() { return recorder_; }
    // "~" and "~/..." of the plan, as the host's user means it.
    std::string expand(const std::string& text) const;
    posix::Environment environment(const std::map<std::string, std::string>& planned,
                                   const std::string& folder) const;
    Limits limits(language::Duration wall, language::Duration silence) const;

    // Decides whether the run goes on; why not is kept for its end. What was recorded is on its way to
    // whoever follows the run before the next thing starts.
    bool should_stop();
    // The first ending stands.
    void end_with(language::RunEnd end, std::string detail);
    // After the last step. A stop that hit it is the run's end as well; one that came after it changes
    // nothing.
    const Ending& conclude();

    // A new folder below the run directory, whose logs and globs come home: nothing that an earlier step
    // planted there is ever used.
    Result<UniqueFd> make_folder(std::string_view parent, const std::string& name,
                                 std::vector<std::string> globs = {});
    // Finds the program, in the launch's tools or in PATH, and starts it with its logs in `folder`.
    Result<Step> start(StepCommand command, int folder);
    StepResult wait(Step& step);
    // The end of a step that could not be started.
    language::ProcessEnd not_started(const Error& why);

    const std::vector<StepFiles>& ran() const { return ran_; }

  private:
    std::string directory_;
    int run_dir_;
    const SupervisorOptions& options_;
    LaunchFiles launch_;
    Recorder& recorder_;
    EventLoop& loop_;
    OomCounter oom_ = OomCounter::open();
    std::string home_;
    std::vector<StepFiles> ran_;
    Ending ending_;
    bool interrupted_ = false;  // a program of the run was stopped by a signal to us
};

}  // namespace nsa::runner
