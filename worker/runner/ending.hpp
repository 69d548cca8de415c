// The end of a run: manifest.json, exit.json, and RunFinished as the journal's last line, in that order.
#pragma once

#include <string>
#include <vector>

#include "language/event.hpp"
#include "runner/collect.hpp"
#include "runner/recorder.hpp"

namespace nsa::runner {

struct Ending {
    language::RunEnd end = language::RunEnd::kCompleted;
    std::string detail;
};

// The end of a run whose worker failed: kDiskFull for kNoSpace, else kWorkerError.
Ending failed(const Error& why);

// Nothing of the run may write any more. A manifest or exit record that cannot be written (full disk) turns
// the ending into that failure and is named in its detail; the error is that of the journal.
Result<void> end_run(int run_dir, Recorder& recorder, Ending ending, const std::vector<StepFiles>& steps,
                     const CollectLimits& limits);

}  // namespace nsa::runner
