// The journal of a run: numbered events, one JSON line each, durable once sync() has returned.
// One writer: the supervisor. Readers (reader.hpp) see whole lines only.
#pragma once

#include <cstdint>
#include <string>

#include "journal/reader.hpp"
#include "language/event.hpp"
#include "system/unique_fd.hpp"

namespace nsa::journal {

class Journal {
  public:
    // Opens or creates journal.jsonl in the run directory. A torn last line (the writer died in it) is cut
    // off and its number used again; a last line that is whole but no event is kCorrupt.
    static Result<Journal> open(int run_dir);

    std::uint64_t last_seq() const { return last_seq_; }

    // Gives the event the next number. Nothing reaches the file before write().
    void append(language::EventBody body, std::int64_t wall_ms);

    // Writes what was appended, in one go. On an error (kNoSpace) nothing of it stays in the file, and what
    // was appended is kept: the next call tries again.
    Result<void> write();
    // Makes what was written durable. May run in another thread than write().
    Result<void> sync() const;

  private:
    UniqueFd file_;
    std::uint64_t size_ = 0;  // bytes of whole lines in the file
    std::uint64_t last_seq_ = 0;
    std::string pending_;
};

}  // namespace nsa::journal
