#include "runner/recorder.hpp"

#include <chrono>

#include "language/failpoint.hpp"

namespace nsa::runner {

Result<std::unique_ptr<Recorder>> Recorder::open(int run_dir) {
    auto journal = journal::Journal::open(run_dir);
    if (!journal) return journal.error();
    if (journal->last_seq() != 0) {
        return fail(ErrorCode::kConflict, "this directory has run before; a run directory runs once",
                    "journal.jsonl");
    }
    std::unique_ptr<Recorder> recorder{new Recorder{run_dir, std::move(*journal)}};
    if (const auto reserved = take_reserve(run_dir); !reserved) {
        if (reserved.error().code != ErrorCode::kNoSpace) return reserved.error();
        recorder->note_out_of_space();
    }
    return recorder;
}

Recorder::Recorder(int run_dir, journal::Journal journal)
    : run_dir_{run_dir}, journal_{std::move(journal)}, syncer_{[this] { sync_in_background(); }} {}

Recorder::~Recorder() {
    {
        const std::lock_guard lock{mutex_};
        closing_ = true;
    }
    changed_.notify_one();
    syncer_.join();
}

void Recorder::append(language::EventBody body) {
    using namespace std::chrono;
    // Wall time is only recorded; nothing is ordered by it.
    const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    journal_.append(std::move(body), now);
}

Result<void> Recorder::write() {
    auto written = journal_.write();
    if (!written && written.error().code == ErrorCode::kNoSpace) out_of_space_ = true;
    return written;
}

Result<void> Recorder::flush() {
    if (auto written = write(); !written) return written;
    std::optional<Error> error;
    {
        const std::lock_guard lock{mutex_};
        sync_wanted_ = true;
        error = sync_error_;
    }
    changed_.notify_one();
    if (error) return *error;
    return {};
}

Result<void> Recorder::commit() {
    auto written = write();
    if (!written && written.error().code == ErrorCode::kNoSpace) {
        release_reserve();
        written = journal_.write();
    }
    if (!written) return written;
    failpoint("worker.commit.before_sync");
    auto synced = journal_.sync();
    failpoint("worker.commit.after_sync");
    return synced;
}

void Recorder::sync_in_background() {
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] { return sync_wanted_ || closing_; });
        if (closing_) return;  // commit() has synced what matters
        sync_wanted_ = false;
        lock.unlock();
        failpoint("worker.journal.before_sync");
        const auto synced = journal_.sync();
        failpoint("worker.journal.after_sync");
        lock.lock();
        if (!synced) sync_error_ = synced.error();
    }
}

}  // namespace nsa::runner
