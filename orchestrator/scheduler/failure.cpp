#include "scheduler/failure.hpp"

#include <algorithm>

namespace nsa::scheduler {

using language::FailureClass;
using language::Reason;

std::optional<FailureClass> failure_class(Reason reason) {
    switch (reason) {
        case Reason::kProvisionTimeout:
        case Reason::kHostUnreachable:
        case Reason::kDeployFailed:
        case Reason::kHostDiskFull:
        case Reason::kWorkerDied:
        case Reason::kPullTimeout:
        case Reason::kPullFailed:
        case Reason::kInternal:
            return FailureClass::kInfra;
        case Reason::kQueueTimeout:
            return FailureClass::kNoCapacity;
        case Reason::kHostRebooted:
            return FailureClass::kInterruption;
        case Reason::kNone:
        case Reason::kCompleted:
        case Reason::kCancelledByUser:
        case Reason::kInstanceMissing:
        case Reason::kTargetUnmet:
        case Reason::kHostKeyRefused:
        case Reason::kAuthRefused:
        case Reason::kSetupFailed:
            return std::nullopt;
    }
    return std::nullopt;
}

bool may_retry(const language::Retry& retry, Reason reason, int retries) {
    const std::optional<FailureClass> failure = failure_class(reason);
    return failure && retries < retry.max &&
           std::find(retry.on.begin(), retry.on.end(), *failure) != retry.on.end();
}

}  // namespace nsa::scheduler
