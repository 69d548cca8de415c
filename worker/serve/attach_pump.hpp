// Follows a run directory for one attach: journal lines from a sequence number, logs from their offsets.
// Decides what the next frame holds; the session sends it and waits. Reads files, writes none.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "journal/reader.hpp"
#include "protocol/frame.hpp"
#include "protocol/messages.hpp"
#include "system/unique_fd.hpp"

namespace nsa::serve {

struct DataFrame {
    protocol::FrameType type{};
    std::string payload;
};

class AttachPump {
  public:
    static Result<AttachPump> open(UniqueFd run_dir, const protocol::Attach& request);

    // The next frame, whose payload is at most `credit` bytes; nothing: wait for the run or for credit.
    // Errors: the journal cannot be read.
    Result<std::optional<DataFrame>> next(std::uint64_t credit);

    // The supervisor is dead: nothing will grow any more. The logs of a step that it started and did not live
    // to record are followed as well.
    void supervisor_is_dead();
    // The run is over (or its supervisor dead), and everything was sent.
    bool is_over() const { return ended_ && logs_.empty() && caught_up_; }
    bool has_ended() const { return ended_; }  // the journal said so
    std::uint64_t last_seq() const { return seen_seq_; }
    int run_dir() const { return run_dir_.get(); }

  private:
    // One log file that may still have bytes for the client.
    struct Log {
        std::string path;
        std::uint64_t offset = 0;
        bool final = false;  // its step is over: drained means done
        UniqueFd file;
    };

    AttachPump(UniqueFd run_dir, UniqueFd journal, const protocol::Attach& request);
    Result<std::optional<DataFrame>> next_events(std::uint64_t credit);
    std::optional<DataFrame> next_log(std::uint64_t credit);
    static std::uint64_t bytes_left(const Log& log);
    static std::optional<DataFrame> read_log(Log& log, std::uint64_t count);
    void follow(std::string_view line);
    void follow_folder(const std::string& folder);
    void follow_unrecorded_steps();
    void finalize();

    UniqueFd run_dir_;
    journal::LineReader lines_;
    std::uint64_t from_seq_, seen_seq_ = 0;
    std::map<std::string, std::uint64_t> offsets_;
    std::deque<Log> logs_;
    std::set<std::string> followed_;  // folders, done ones included
    int setup_ = 0;                   // the setup command whose logs are followed
    bool ended_ = false, caught_up_ = false;
};

}  // namespace nsa::serve
