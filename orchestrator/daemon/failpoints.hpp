// Every failpoint of the daemon's side (language/failpoint.hpp), for the laboratory: it passes each once. A
// test holds this table against the sources. Sorted.
#pragma once

#include <string_view>

namespace nsa::daemon {

// clang-format off
inline constexpr std::string_view kFailpoints[] = {
    "daemon.attach.begin",
    "daemon.attach.ended",
    "daemon.backup.after_rename",
    "daemon.backup.before_rename",
    "daemon.cancel.after_commit",
    "daemon.cancel.before_commit",
    "daemon.collect.before_sync",
    "daemon.collect.begin",
    "daemon.collect.file_begun",
    "daemon.collect.file_taken",
    "daemon.collect.manifest_taken",
    "daemon.collect.synced",
    "daemon.instance.after_commit",
    "daemon.instance.before_commit",
    "daemon.intent.after_commit",
    "daemon.intent.before_commit",
    "daemon.journal.after_commit",
    "daemon.journal.before_commit",
    "daemon.launch.answered",
    "daemon.launch.before_send",
    "daemon.launch.recorded",
    "daemon.link.before_open",
    "daemon.link.up",
    "daemon.log.written",
    "daemon.migration.after_commit",
    "daemon.migration.before_commit",
    "daemon.migration.begin",
    "daemon.publish.after_commit",
    "daemon.publish.before_commit",
    "daemon.publish.begin",
    "daemon.publish.judged",
    "daemon.recovery.done",
    "daemon.recovery.instances_adopted",
    "daemon.recovery.run_adopted",
    "daemon.recovery.runs_adopted",
    "daemon.report.after_rename",
    "daemon.report.before_record",
    "daemon.report.before_rename",
    "daemon.report.begin",
    "daemon.report.recorded",
    "daemon.save.before_commit",
    "daemon.saved.collecting",
    "daemon.saved.lost",
    "daemon.saved.provisioning",
    "daemon.saved.queued",
    "daemon.saved.running",
    "daemon.saved.setup",
    "daemon.saved.staging",
    "daemon.shutdown.begin",
    "daemon.stage.begin",
    "daemon.stage.tools_there",
    "daemon.start.locked",
    "daemon.start.serving",
    "daemon.start.store_open",
    "daemon.stop.answered",
    "daemon.stop.before_send",
    "daemon.stray.gone",
    "daemon.submit.after_commit",
    "daemon.submit.before_commit",
    "daemon.submit.queued",
};
// clang-format on

}  // namespace nsa::daemon
