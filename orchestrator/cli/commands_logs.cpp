// The verb logs: one case or command of the set-up, or all of them in order.
#include <algorithm>
#include <charconv>
#include <ostream>

#include "cli/commands.hpp"
#include "language/run_state.hpp"
#include "language/text.hpp"
#include "language/verdict.hpp"

namespace nsa::cli {
namespace {

using api::CaseView;
using api::RunView;
using language::RunState;
using std::chrono::milliseconds;
namespace exit_code = language::exit_code;

constexpr milliseconds kLongWait{30'000};
constexpr milliseconds kSetupWait{2'000};  // after its end nothing for so long: it is over

bool has_begun(const CaseView& view) {
    return view.state == "running" || view.state == "finished";
}

// The case of that key, or the only case of the step of that name.
Result<CaseKey> find_case(const RunView& run, const std::string& text) {
    std::vector<CaseKey> of_step;
    std::vector<std::string_view> keys;
    for (const CaseView& view : run.cases) {
        if (view.key.value == text) return view.key;
        if (view.key.value.starts_with(text + "[")) of_step.push_back(view.key);
        keys.push_back(view.key.value);
    }
    if (of_step.size() == 1) return of_step.front();
    const std::string known = language::join(std::span<const std::string_view>(keys));
    return fail(
        ErrorCode::kNotFound,
        (of_step.empty() ? "no such case; " : "the step has several cases; ") + ("cases are " + known),
        "run " + run.run.value + ", case " + text);
}

// What the API calls a command of the set-up: its folder. They are counted from 0, as in reports and
// messages.
Result<CaseKey> setup_key(const std::string& text, const RunId& run) {
    unsigned number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem == std::errc{} && end == text.data() + text.size())
        return CaseKey{"setup/" + std::to_string(number)};
    return fail(ErrorCode::kUsage,
                "with --setup, CASE is the number of a command, from 0; got \"" + text + "\"",
                "run " + run.value);
}

class LogPrinter {
  public:
    LogPrinter(Control& control, const Console& console, const LogsArgs& args, RunId run)
        : control_(control), console_(console), args_(args), run_(std::move(run)) {}

    int print() {
        auto view = control_.wait_run(run_, 0, milliseconds{0});
        if (!view) return complain(view.error());
        std::vector<CaseKey> keys;
        if (args_.key.empty()) {
            for (const CaseView& planned : view->cases)
                keys.push_back(planned.key);
        } else {
            const auto key = find_case(*view, args_.key);
            if (!key) return complain(key.error());
            keys.push_back(*key);
        }
        for (const CaseKey& key : keys)
            if (const int code = print_case(std::move(*view), key, keys.size() > 1); code != 0) {
                return code;
            } else if (view = control_.wait_run(run_, 0, milliseconds{0}); !view) {
                return complain(view.error());
            }
        return 0;
    }

    int print_setup() {
        if (!args_.key.empty()) {
            const auto key = setup_key(args_.key, run_);
            return key ? print_bytes(*key) : complain(key.error());
        }
        for (int number = 0;;) {
            api::LogRequest look = request_for(CaseKey{"setup/" + std::to_string(number)});
            const auto there = control_.read_log(look);
            if (!there && there.error().code == ErrorCode::kNotFound && number > 0) return 0;
            if (!there) return complain(there.error());
            const bool is_heard = !there->bytes.empty() || there->complete;
            if (!is_heard && args_.follow) continue;  // it has not begun, or says nothing yet
            if (!is_heard) return 0;
            print_heading("set-up command " + std::to_string(number++));
            if (const int code = print_bytes(look.key); code != 0) return code;
        }
    }

  private:
    void print_heading(const std::string& text) {
        console_.out << (first_ ? "" : "\n")
                     << console_.out_paint("==> " + harmless(text) + " <==", Colour::kBold) << "\n";
        first_ = false;
    }

    // Ctrl-C is how one leaves `logs -f`: nothing to complain about.
    int complain(const Error& error) const {
        return control_.interrupts() > 0 ? exit_code::kInterrupted : console_.complain(error);
    }

    int print_case(RunView view, const CaseKey& key, bool with_heading) {
        const auto is_it = [&key](const CaseView& one) { return one.key == key; };
        for (;;) {
            const auto found = std::find_if(view.cases.begin(), view.cases.end(), is_it);
            if (found == view.cases.end()) return 0;
            if (has_begun(*found)) break;
            if (!args_.follow || view.state == RunState::kDone || found->state == "blocked") {
                if (!with_heading) console_.note("the case is " + found->state + "; it wrote nothing");
                return 0;
            }
            auto next = control_.wait_run(run_, view.version, kLongWait);
            if (!next) return complain(next.error());
            view = std::move(*next);
        }
        if (with_heading) print_heading(key.value);
        return print_bytes(key);
    }

    api::LogRequest request_for(const CaseKey& key) const {
        api::LogRequest request;
        request.run = run_;
        request.key = key;
        request.stream = args_.use_stderr ? "stderr" : "stdout";
        if (args_.follow) request.wait = args_.setup ? kSetupWait : kLongWait;
        return request;
    }

    int print_bytes(const CaseKey& key) {
        api::LogRequest request = request_for(key);
        for (;;) {
            const auto chunk = control_.read_log(request);
            if (!chunk) return complain(chunk.error());
            if (request.attempt.value != 0 && chunk->attempt != request.attempt)
                console_.note("attempt " + std::to_string(chunk->attempt.value) + " of the run; the log of " +
                              harmless(key.value) + " from its beginning:");
            // A terminal is protected from what a remote program wrote; a file or pipe gets the bytes.
            console_.out << (console_.facts.out_is_tty ? harmless(chunk->bytes, true) : chunk->bytes);
            console_.out.flush();
            request.attempt = chunk->attempt;
            request.offset = chunk->next_offset;
            const bool no_more_now = chunk->bytes.empty() && !args_.follow;
            if (chunk->complete || no_more_now) return 0;
            if (!console_.out) return exit_code::kInfrastructure;  // nobody reads any more
        }
    }

    Control& control_;
    const Console& console_;
    const LogsArgs& args_;
    RunId run_;
    bool first_ = true;
};

}  // namespace

int logs(Control& control, const Console& console, const LogsArgs& args) {
    const auto run = find_run(control, args.run);
    if (!run) return console.complain(run.error());
    LogPrinter printer(control, console, args, *run);
    return args.setup ? printer.print_setup() : printer.print();
}

}  // namespace nsa::cli
