// Reading a journal while its supervisor appends to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "language/event.hpp"
#include "language/result.hpp"
#include "system/unique_fd.hpp"

namespace nsa::journal {

// The supervisor writes no longer line: records are split over several events (runner/records.hpp).
inline constexpr std::size_t kLongestLine = 1U << 20;

// The end of a journal.
struct Tail {
    std::uint64_t whole_size = 0;         // bytes up to and with the last newline
    std::optional<language::Event> last;  // nothing: the journal is empty
};
// kCorrupt when the last whole line is no event.
Result<Tail> read_tail(int file);
// The first event, once its line is whole.
Result<std::optional<language::Event>> read_first(int file);

// Walks forward over whole lines. Holds at most what one call of read() returns.
class LineReader {
  public:
    explicit LineReader(UniqueFd file) : file_{std::move(file)} {}

    int fd() const { return file_.get(); }
    // Whole lines from where the last call ended, together at most `limit` bytes, but at least one line when
    // one is there (whatever its size, up to kLongestLine). Empty: none yet. kCorrupt: a line longer than
    // that.
    Result<std::string> read(std::size_t limit);
    // Goes back over the last `count` bytes that read() returned: they are returned again.
    void unread(std::size_t count) { offset_ -= count; }

  private:
    UniqueFd file_;
    std::uint64_t offset_ = 0;
};

// The name in a line of to_line(), without parsing it: "case_started"; empty when it is not in its place.
std::string_view event_name(std::string_view line);

}  // namespace nsa::journal
