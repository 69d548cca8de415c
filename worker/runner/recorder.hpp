// The supervisor's pen: events to the journal, and what happens when the disk is full.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "journal/journal.hpp"
#include "runner/disk.hpp"

namespace nsa::runner {

class Recorder {
  public:
    // run_dir stays open as long as this lives. kConflict: this directory has run before; a run directory
    // runs once.
    static Result<std::unique_ptr<Recorder>> open(int run_dir);
    ~Recorder();
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    // Reaches the journal by the next flush() or commit().
    void append(language::EventBody body);
    // Writes what was appended and has it fsynced in the background: events that come while an fsync runs
    // share the next one, so that a slow disk does not slow short steps. Errors: the write's, or a past
    // fsync's.
    Result<void> flush();
    // Writes what was appended; durable when it returns. On a full disk the reserve is given up and the write
    // tried again: only while nothing of the run writes, or it would eat the reserve too.
    Result<void> commit();

    std::uint64_t last_seq() const { return journal_.last_seq(); }
    bool ran_out_of_space() const { return out_of_space_; }
    void note_out_of_space() { out_of_space_ = true; }
    // Gives the reserve up: for the records that end the run.
    void release_reserve() { runner::release_reserve(run_dir_); }

  private:
    Recorder(int run_dir, journal::Journal journal);
    Result<void> write();
    void sync_in_background();

    int run_dir_;
    journal::Journal journal_;
    bool out_of_space_ = false;

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    bool sync_wanted_ = false, closing_ = false;
    std::optional<Error> sync_error_;
    std::thread syncer_;  // last: it uses all of the above
};

}  // namespace nsa::runner
