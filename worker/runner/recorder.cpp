#include "runner/recorder.hpp"

#include <chrono>

namespace nsa::runner {

Result<Recorder> Recorder::open(int run_dir) {
    auto journal = journal::Journal::open(run_dir);
    if (!journal) return journal.error();
    if (journal->last_seq() != 0) {
        return fail(ErrorCode::kConflict, "this directory has run before; a run directory runs once",
                    "journal.jsonl");
    }
    Recorder recorder{run_dir, std::move(*journal)};
    if (const auto reserved = take_reserve(run_dir); !reserved) {
        if (reserved.error().code != ErrorCode::kNoSpace) return reserved.error();
        recorder.note_out_of_space();
    }
    return recorder;
}

void Recorder::append(language::EventBody body) {
    using namespace std::chrono;
    // Wall time is only recorded; nothing is ordered by it.
    const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    journal_.append(std::move(body), now);
}

Result<void> Recorder::try_commit() {
    auto committed = journal_.commit();
    if (!committed && committed.error().code == ErrorCode::kNoSpace) out_of_space_ = true;
    return committed;
}

Result<void> Recorder::commit() {
    auto committed = try_commit();
    if (committed || committed.error().code != ErrorCode::kNoSpace) return committed;
    release_reserve();
    return journal_.commit();
}

}  // namespace nsa::runner
