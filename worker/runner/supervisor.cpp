#include "runner/supervisor.hpp"

#include <unistd.h>

#include <filesystem>

#include "journal/lock.hpp"
#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "posix/files.hpp"
#include "posix/identity.hpp"
#include "probe/probe.hpp"
#include "runner/case_phase.hpp"
#include "runner/leftovers.hpp"
#include "runner/setup_phase.hpp"

namespace nsa::runner {
namespace {

// Says who supervises, reads what was launched, and probes the host.
Result<LaunchFiles> begin(const std::string& directory, int run_dir, const SupervisorOptions& options,
                          Recorder& recorder) {
    const auto self = posix::identity_of(::getpid());
    if (!self) return self.error();
    recorder.append(language::RunStarted{self->pid, self->start_ticks, self->boot_id, posix::host_name(),
                                         options.worker_version});
    failpoint("worker.run_started.before_commit");
    // Durable before anything else: whoever launched waits for it.
    if (const auto committed = recorder.commit(); !committed) return committed.error();
    failpoint("worker.run_started.after_commit");
    auto launched = read_launch_files(run_dir);
    if (launched) {
        const probe::ProbeOptions probing{
            .disk = directory, .environment = options.host, .gpu_deadline = options.probe_deadline};
        recorder.append(language::HostProbed{probe::probe_host(probing)});
        failpoint("worker.host.probed");
    }
    return launched;
}

Result<void> finish(int run_dir, Recorder& recorder, Ending ending, const std::vector<StepFiles>& ran,
                    const CollectLimits& limits) {
    failpoint("worker.end.begin");
    kill_leftovers(0, {}, language::kLeftoversWait);  // services of the setup
    return end_run(run_dir, recorder, std::move(ending), ran, limits);
}

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
    auto launched = begin(path, run_dir->get(), options, **recorder);
    if (!launched) return finish(run_dir->get(), **recorder, failed(launched.error()), {}, options.collect);
    RunContext run{path, run_dir->get(), options, std::move(*launched), **recorder, *loop};
    run_cases(run, run_setup(run));
    return finish(run_dir->get(), **recorder, run.conclude(), run.ran(), options.collect);
}

}  // namespace nsa::runner
