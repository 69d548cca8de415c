#include "cli/console.hpp"

#include <fmt/format.h>

#include <ostream>

#include "language/verdict.hpp"

namespace nsa::cli {

Console::Console(std::ostream& out_to, std::ostream& err_to, std::istream& in_from,
                 const TerminalFacts& found, std::function<std::int64_t()> wall,
                 std::function<std::int64_t()> steady)
    : out(out_to),
      err(err_to),
      in(in_from),
      facts(found),
      out_paint(found.out_is_tty && !found.no_colour && !found.dumb),
      err_paint(found.err_is_tty && !found.no_colour && !found.dumb),
      live(found.err_is_tty && !found.dumb),
      now_ms(std::move(wall)),
      steady_ms(std::move(steady)) {}

int Console::complain(const Error& error) const {
    err << err_paint("nsactl: ", Colour::kBold) << err_paint(harmless(error.describe(), true), Colour::kRed)
        << "\n";
    err.flush();
    return exit_code_of(error);
}

void Console::note(const std::string& line) const {
    err << line << "\n";
    err.flush();
}

int exit_code_of(const Error& error) {
    namespace exit_code = language::exit_code;
    switch (error.code) {
        case ErrorCode::kInvalidSpec:
        case ErrorCode::kUsage:
        case ErrorCode::kConflict:
            return exit_code::kUsage;
        case ErrorCode::kNotFound:
            return exit_code::kNotFound;
        default:
            return exit_code::kInfrastructure;
    }
}

void LiveBlock::draw(const std::vector<std::string>& lines) {
    // One write, from the block's first line down: nothing flickers, and what is left over is cleared.
    std::string text;
    if (drawn_ > 0) text += fmt::format("\x1b[{}A", drawn_);
    for (const std::string& line : lines)
        text += "\r" + line + "\x1b[K\n";
    to_ << text << "\x1b[J";
    to_.flush();
    drawn_ = lines.size();
}

void LiveBlock::erase() {
    if (drawn_ > 0) draw({});
}

}  // namespace nsa::cli
