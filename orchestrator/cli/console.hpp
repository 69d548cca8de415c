// Where nsactl writes: results to `out`, everything about the way there to `err`. Tests give it strings.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "cli/text.hpp"
#include "language/result.hpp"

namespace nsa::cli {

// What the process found out about its terminal and environment.
struct TerminalFacts {
    bool out_is_tty = false, err_is_tty = false, in_is_tty = false;
    bool no_colour = false;  // NO_COLOR is set and not empty
    bool dumb = false;       // TERM=dumb: no cursor movement, no colour
    int columns = 100, rows = 30;
};

struct Console {
    Console(std::ostream& out, std::ostream& err, std::istream& in, const TerminalFacts& facts,
            std::function<std::int64_t()> now_ms, std::function<std::int64_t()> steady_ms);

    // "nsactl: where: text" on err; returns the exit code of the error.
    int complain(const Error& error) const;
    // A line on err.
    void note(const std::string& line) const;

    std::ostream& out;
    std::ostream& err;
    std::istream& in;
    TerminalFacts facts;
    Paint out_paint, err_paint;
    bool live;                                // err can be redrawn in place
    std::function<std::int64_t()> now_ms;     // the wall's clock, which may be set: for display
    std::function<std::int64_t()> steady_ms;  // for limits
};

// 2 for what the caller must change, 9 for what is not there, 4 for everything that failed around the
// experiment.
int exit_code_of(const Error& error);

// A block of lines at the end of err that is drawn over itself.
class LiveBlock {
  public:
    explicit LiveBlock(std::ostream& to) : to_(to) {}
    ~LiveBlock() = default;
    void draw(const std::vector<std::string>& lines);
    void erase();

  private:
    std::ostream& to_;
    std::size_t drawn_ = 0;  // lines on the screen now
};

}  // namespace nsa::cli
