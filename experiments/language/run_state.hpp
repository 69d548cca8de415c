// Where a run is (its verdict is another axis). LOST is visible and reversible: only evidence moves a run
// out.
#pragma once

#include <string_view>

namespace nsa::language {

enum class RunState {
    kQueued,        // accepted and durable
    kProvisioning,  // waits for its instance: connect, push the worker and the tools
    kStaging,       // plan and files go to the host
    kSetup,         // setup commands run
    kRunning,       // cases run
    kCollecting,    // ended on the host; logs and artifacts come home
    kLost,          // the link is gone; the job is presumed alive
    kDone,          // terminal: result recorded
};
std::string_view to_string(RunState state);  // "QUEUED", ...

// Why a run ended as it did, or waits. Closed, so that programs can branch on it.
enum class Reason {
    kNone,
    kCompleted,
    kCancelledByUser,
    kQueueTimeout,
    kProvisionTimeout,
    kInstanceMissing,
    kTargetUnmet,  // the instance that the run names is not what its target asks for
    kHostKeyRefused,
    kAuthRefused,
    kHostUnreachable,
    kDeployFailed,
    kSetupFailed,
    kHostDiskFull,
    kWorkerDied,
    kHostRebooted,
    kPullTimeout,
    kPullFailed,
    kInternal,
};
std::string_view to_string(Reason reason);  // "host_key_refused", ...

}  // namespace nsa::language
