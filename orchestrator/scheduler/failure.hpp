// What a failed run may be retried for.
#pragma once

#include <optional>

#include "language/run_state.hpp"
#include "language/spec.hpp"

namespace nsa::scheduler {

// The class of a failure, or nothing when trying again cannot help or was not a failure of the system: a
// threshold that failed, a setup command, a refused key, a cancelled run.
std::optional<language::FailureClass> failure_class(language::Reason reason);

// `retries`: those already spent.
bool may_retry(const language::Retry& retry, language::Reason reason, int retries);

}  // namespace nsa::scheduler
