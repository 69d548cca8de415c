// The supervisor's pen: events to the journal, and what happens when the disk is full.
#pragma once

#include "journal/journal.hpp"
#include "runner/disk.hpp"

namespace nsa::runner {

class Recorder {
  public:
    // run_dir stays open as long as this lives. kConflict: this directory has run before; a run directory
    // runs once.
    static Result<Recorder> open(int run_dir);

    // Made durable by the next commit(); one commit for several events costs one fsync.
    void append(language::EventBody body);
    Result<void> try_commit();
    // On a full disk the reserve is given up and the write tried again: only while nothing of the run writes,
    // or it would eat the reserve too.
    Result<void> commit();

    std::uint64_t last_seq() const { return journal_.last_seq(); }
    bool ran_out_of_space() const { return out_of_space_; }
    void note_out_of_space() { out_of_space_ = true; }
    // Gives the reserve up: for the records that end the run.
    void release_reserve() { runner::release_reserve(run_dir_); }

  private:
    Recorder(int run_dir, journal::Journal journal) : run_dir_{run_dir}, journal_{std::move(journal)} {}

    int run_dir_;
    journal::Journal journal_;
    bool out_of_space_ = false;
};

}  // namespace nsa::runner
