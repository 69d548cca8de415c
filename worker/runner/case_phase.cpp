#include "runner/case_phase.hpp"

#include <ctime>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "language/judge.hpp"
#include "language/utc_time.hpp"
#include "runner/gating.hpp"
#include "runner/records.hpp"

namespace nsa::runner {
namespace {

using language::PlannedCase;

// Waivers expire by the day, in UTC.
std::string today() {
    return language::utc_date(std::int64_t{std::time(nullptr)} * 1000);
}

struct Executed {
    language::CaseFinished finished;
    StepRecords records;
    bool disk_full = false;  // and its end says so
};

Executed not_started(RunContext& run, const Error& why) {
    Executed done;
    done.finished.end = run.not_started(why);
    done.disk_full = why.code == ErrorCode::kNoSpace;
    return done;
}

Executed execute(RunContext& run, const PlannedCase& planned, const std::set<pid_t>& services) {
    const std::string name = language::case_folder(planned.key);
    failpoint("worker.case.before_folder");
    const auto folder = run.make_folder(journal::kStepsFolder, name, planned.artifacts);
    if (!folder) return not_started(run, folder.error());
    StepCommand command;
    command.argv = planned.argv;
    command.cwd = run.directory() + "/" + journal::kStepsFolder + "/" + name;
    command.environment = run.environment(planned.env, command.cwd);
    command.limits = run.limits(planned.timeout, planned.silence);
    command.spared = services;
    auto step = run.start(std::move(command), folder->get());
    if (!step) return not_started(run, step.error());
    if (step->pid() != 0) {
        run.recorder().append(language::CaseStarted{planned.key, step->pid(), step->argv()});
        // Also has the end of the case before fsynced, while this one already runs. What cannot be recorded
        // must not run; its events wait for the space that the reserve gives back once it is dead.
        if (const auto written = run.recorder().flush(); !written) step->kill();
        failpoint("worker.case.started");
    }
    const StepResult result = run.wait(*step);
    Executed done;
    done.finished.end = result.end;
    done.finished.seconds = result.seconds;
    done.finished.stdout_bytes = result.stdout_bytes;
    done.finished.stderr_bytes = result.stderr_bytes;
    done.finished.max_rss_kib = result.max_rss_kib;
    done.records = read_records(folder->get(), planned);
    done.disk_full = result.disk_full;
    return done;
}

void record(RunContext& run, Gate& gate, const PlannedCase& planned, Executed done) {
    done.finished.key = planned.key;
    for (auto& chunk : in_chunks(planned.key, done.records))
        run.recorder().append(std::move(chunk));
    language::ProcessEnd& end = done.finished.end;
    if (!done.disk_full && has_no_room(run.run_dir())) {
        end.detail += (end.detail.empty() ? "" : "; ");
        end.detail += "the disk of the run directory is full (ENOSPC)";
    }
    language::CaseOutcome outcome;
    outcome.end = end;
    outcome.records = std::move(done.records.records);
    outcome.record_errors = std::move(done.records.errors);
    gate.record(planned.key, language::judge(planned, outcome, today()).verdict);
    run.recorder().append(std::move(done.finished));
    failpoint("worker.case.finished");
}

}  // namespace

void run_cases(RunContext& run, const std::set<pid_t>& services) {
    Gate gate;
    for (const PlannedCase& planned : run.plan().cases) {
        if (run.should_stop()) return;
        if (const auto by = gate.blocked_by(planned)) {
            run.recorder().append(language::CaseBlocked{planned.key, *by});
            failpoint("worker.case.blocked");
            gate.record(planned.key, language::Verdict::kBlocked);
        } else {
            record(run, gate, planned, execute(run, planned, services));
        }
    }
}

}  // namespace nsa::runner
