// Every failpoint of the worker (language/failpoint.hpp), for the laboratory: it passes each once. A test
// holds this table against the sources. Sorted.
//
// worker.launch, .put, .cancel, .orphans, .attach and .fetch are hit by `serve`, worker.file (every file that
// is written by rename) by both, the others by the supervisor, which inherits the environment of the `serve`
// that launched it. worker.step.before_term and before_kill need a step over a limit, worker.case.blocked one
// whose need failed, worker.orphans and worker.attach.found_dead a dead supervisor.
#pragma once

#include <string_view>

namespace nsa::worker_lab {

// clang-format off
inline constexpr std::string_view kFailpoints[] = {
    "worker.attach.before_end",
    "worker.attach.found_dead",
    "worker.cancel.after_file",
    "worker.cancel.before_file",
    "worker.case.before_folder",
    "worker.case.blocked",
    "worker.case.finished",
    "worker.case.started",
    "worker.commit.after_sync",
    "worker.commit.before_sync",
    "worker.end.before_collect",
    "worker.end.begin",
    "worker.exit_record.after_write",
    "worker.fetch.before_end",
    "worker.file.after_rename",
    "worker.file.before_rename",
    "worker.host.probed",
    "worker.journal.after_sync",
    "worker.journal.before_sync",
    "worker.launch.after_mkdir",
    "worker.launch.after_spawn",
    "worker.launch.before_mkdir",
    "worker.launch.before_reply",
    "worker.launch.before_spawn",
    "worker.manifest.after_write",
    "worker.manifest.before_write",
    "worker.orphans.after_kill",
    "worker.orphans.before_kill",
    "worker.put.after_rename",
    "worker.put.before_rename",
    "worker.reserve.before_release",
    "worker.run_finished.after_commit",
    "worker.run_started.after_commit",
    "worker.run_started.before_commit",
    "worker.setup.after_command",
    "worker.setup.before_command",
    "worker.step.after_spawn",
    "worker.step.before_kill",
    "worker.step.before_spawn",
    "worker.step.before_term",
    "worker.step.ended",
    "worker.supervisor.locked",
};
// clang-format on

}  // namespace nsa::worker_lab
