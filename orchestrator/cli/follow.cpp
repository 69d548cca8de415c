#include "cli/follow.hpp"

#include <algorithm>
#include <ostream>

#include "api/json.hpp"
#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "cli/run_text.hpp"
#include "language/utc_time.hpp"
#include "language/verdict.hpp"

namespace nsa::cli {
namespace {

using api::RunView;
using language::RunState;
using std::chrono::milliseconds;
namespace exit_code = language::exit_code;

// Draws what is new about a run, in the way that the terminal allows.
class Display {
  public:
    explicit Display(const Console& console) : console_(console), block_(console.err) {}

    void show(const RunView& run) {
        const std::int64_t now = console_.now_ms();
        for (const api::CaseView& view : run.cases)
            if (view.state == "running") since_.emplace(view.key, now);
        if (console_.live) {
            block_.draw(live_lines(run, since_, now, console_.facts.columns - 1, console_.facts.rows - 1,
                                   console_.err_paint));
        } else {
            for (const std::string& line : changes(last_, run, console_.err_paint))
                console_.note(language::utc_clock(now) + " " + line);
        }
        last_ = run;
    }
    // A line that stays, above the block.
    void say(const std::string& line) {
        block_.erase();
        console_.note(line);
    }
    void erase() { block_.erase(); }

  private:
    const Console& console_;
    LiveBlock block_;
    std::optional<RunView> last_;
    RunningSince since_;
};

class Follower {
  public:
    Follower(Control& control, const Console& console, RunId run, const FollowOptions& options)
        : control_(control),
          console_(console),
          run_(std::move(run)),
          options_(options),
          display_(console),
          interrupts_(control.interrupts()),
          end_ms_(options.timeout_ms ? console.steady_ms() + *options.timeout_ms : INT64_MAX) {}

    int follow() {
        for (;;) {
            const auto view = control_.wait_run(run_, version_, next_wait());
            if (control_.interrupts() > interrupts_) {
                if (const auto code = interrupted()) return *code;
                continue;
            }
            if (!view) {
                if (const auto code = failed(view.error())) return *code;
                continue;
            }
            lost_since_ms_.reset();
            version_ = view->version;
            display_.show(*view);
            if (view->state == RunState::kDone) return finish(*view);
            if (console_.steady_ms() >= end_ms_) {
                display_.say("the wait is over; the run goes on: nsactl status " + run_.value + " --watch");
                return exit_code::kWaitExpired;
            }
        }
    }

  private:
    // A live display counts seconds, so it comes back to draw; a log only waits for changes.
    milliseconds next_wait() const {
        const std::int64_t longest = console_.live ? 500 : 30'000;
        return milliseconds{std::clamp<std::int64_t>(end_ms_ - console_.steady_ms(), 0, longest)};
    }

    // The exit code when that was the end.
    std::optional<int> interrupted() {
        interrupts_ = control_.interrupts();
        ++presses_;
        if (options_.on_interrupt == OnInterrupt::kLeave) {
            display_.say("the run goes on; follow it with: nsactl status " + run_.value +
                         " --watch, stop it with: nsactl cancel " + run_.value);
            return exit_code::kInterrupted;
        }
        if (presses_ == 1) {
            display_.say("the run goes on; Ctrl-C again cancels it");
            return std::nullopt;
        }
        if (presses_ > 2) {
            display_.say("left; the run's state is kept and taken up again by nsad or the next nsactl run");
            return exit_code::kInterrupted;
        }
        display_.say("cancelling; once more leaves at once");
        if (const auto cancelled = control_.cancel(run_); !cancelled && control_.interrupts() == interrupts_)
            console_.complain(cancelled.error());
        return std::nullopt;
    }

    std::optional<int> failed(const Error& error) {
        constexpr std::int64_t kPatienceMs = 120'000;
        const std::int64_t now = console_.steady_ms();
        const bool may_return = error.code == ErrorCode::kUnreachable || error.code == ErrorCode::kTimeout;
        if (!may_return || (lost_since_ms_ && now - *lost_since_ms_ > kPatienceMs) || now >= end_ms_) {
            display_.erase();
            return console_.complain(error);
        }
        if (!lost_since_ms_) {
            lost_since_ms_ = now;
            display_.say("nsad does not answer; the run is safe, waiting for it to come back");
        }
        control_.pause(options_.retry);
        if (control_.interrupts() > interrupts_) return interrupted();
        return std::nullopt;
    }

    // The report is rendered just after DONE.
    RunView with_report(RunView view) {
        constexpr std::int64_t kReportMs = 15'000;
        const std::int64_t end = console_.steady_ms() + kReportMs;
        while (view.report_path.empty() && console_.steady_ms() < end &&
               control_.interrupts() == interrupts_) {
            const milliseconds left{end - console_.steady_ms()};
            auto next = control_.wait_run(run_, view.version, left);
            if (!next) break;
            view = std::move(*next);
        }
        return view;
    }

    // The last drawing stays: it shows every case.
    int finish(RunView view) {
        view = with_report(std::move(view));
        if (options_.output == Output::kJson) {
            print_json(console_, api::to_json_text(view));
        } else {
            console_.out << run_summary(view, console_.out_paint);
        }
        return view.status ? language::exit_code_of(*view.status) : exit_code::kInfrastructure;
    }

    Control& control_;
    const Console& console_;
    RunId run_;
    FollowOptions options_;
    Display display_;
    std::uint64_t version_ = 0;
    int interrupts_;       // of the control, that were dealt with
    int presses_ = 0;      // while following
    std::int64_t end_ms_;  // of patience
    std::optional<std::int64_t> lost_since_ms_;
};

}  // namespace

int follow(Control& control, const Console& console, const RunId& run, const FollowOptions& options) {
    return Follower(control, console, run, options).follow();
}

}  // namespace nsa::cli
