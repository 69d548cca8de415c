// The verbs about runs as a whole: submit, run, ps, status, cancel.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <random>

#include "api/json.hpp"
#include "cli/commands.hpp"
#include "cli/follow.hpp"
#include "cli/run_text.hpp"
#include "language/verdict.hpp"

namespace nsa::cli {
namespace {

using api::RunView;
using std::chrono::milliseconds;
namespace exit_code = language::exit_code;

// A key of this invocation: a submission whose answer was lost can be repeated without a second run.
std::string fresh_key() {
    std::random_device random;
    return fmt::format("nsactl-{:08x}{:08x}", random(), random());
}

Result<api::SubmitReply> hand_in(Control& control, const Console& console, Submission submission,
                                 const std::string& file, const std::string& instance,
                                 const std::string& key) {
    api::SubmitRequest request;
    request.spec_yaml = std::move(submission.yaml);
    request.working_tree = std::move(submission.working_tree);
    request.file = file == "-" ? "stdin" : file;
    request.instance = instance;
    request.idempotency_key = key.empty() ? fresh_key() : key;
    auto reply = control.submit(std::move(request));
    if (!reply) return reply;
    if (reply->existed && !key.empty()) console.note("this key was used before; it is the same run");
    return reply;
}

int exit_code_of_run(const RunView& run) {
    return run.status ? language::exit_code_of(*run.status) : exit_code::kNotFinished;
}

}  // namespace

Result<RunId> find_run(Control& control, const std::string& text) {
    constexpr int kSearched = 10'000;
    constexpr std::size_t kIdLength = 15;  // "r-" and 13 characters
    if (text == "last") {
        const auto runs = control.list_runs(1);
        if (!runs) return runs.error();
        if (runs->empty()) return fail(ErrorCode::kNotFound, "there are no runs yet", "run last");
        return runs->front().run;
    }
    if (!is_valid_run_id(RunId{text}))
        return fail(ErrorCode::kUsage, "not a run id; see nsactl ps", "run " + text);
    if (text.size() >= kIdLength) return RunId{text};
    const auto runs = control.list_runs(kSearched);
    if (!runs) return runs.error();
    std::vector<RunId> fitting;
    for (const RunView& run : *runs) {
        if (run.run.value == text) return run.run;
        if (run.run.value.starts_with(text)) fitting.push_back(run.run);
    }
    if (fitting.empty()) return fail(ErrorCode::kNotFound, "no such run; see nsactl ps", "run " + text);
    if (fitting.size() > 1)
        return fail(ErrorCode::kUsage,
                    fmt::format("{} runs start so, {} and {} among them; give more of the id", fitting.size(),
                                fitting[0].value, fitting[1].value),
                    "run " + text);
    return fitting.front();
}

int submit(Control& control, const Console& console, const SubmitArgs& args, Output output) {
    auto submission = prepare_submission(console, args.spec);
    if (!submission) return exit_code::kUsage;
    const auto reply = hand_in(control, console, std::move(*submission), args.spec, args.instance, args.key);
    if (!reply) return control.interrupts() > 0 ? exit_code::kInterrupted : console.complain(reply.error());
    if (args.wait) {
        FollowOptions options;
        options.timeout_ms = args.timeout_ms;
        options.output = output;
        return follow(control, console, reply->run, options);
    }
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(*reply));
    } else {
        console.out << reply->run.value << "\n";
        if (console.facts.err_is_tty)
            console.note("follow it with: nsactl status " + reply->run.value + " --watch");
    }
    return 0;
}

int run(Control& control, const Console& console, const RunArgs& args, Submission submission, bool in_process,
        Output output) {
    const auto reply = hand_in(control, console, std::move(submission), args.spec, args.instance, "");
    if (!reply) return control.interrupts() > 0 ? exit_code::kInterrupted : console.complain(reply.error());
    FollowOptions options;
    options.on_interrupt = in_process ? OnInterrupt::kCancelOnSecond : OnInterrupt::kLeave;
    options.timeout_ms = args.timeout_ms;
    options.output = output;
    return follow(control, console, reply->run, options);
}

int ps(Control& control, const Console& console, const PsArgs& args, Output output) {
    const auto runs = control.list_runs(args.limit);
    if (!runs) return console.complain(runs.error());
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(*runs));
    } else {
        console.out << runs_table(*runs, console.now_ms(), console.out_paint);
    }
    return 0;
}

int status(Control& control, const Console& console, const StatusArgs& args, Output output) {
    const auto run = find_run(control, args.run);
    if (!run) return console.complain(run.error());
    if (args.watch) {
        FollowOptions options;
        options.output = output;
        return follow(control, console, *run, options);
    }
    const auto view = control.wait_run(*run, 0, milliseconds{0});
    if (!view) return console.complain(view.error());
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(*view));
    } else {
        console.out << run_page(*view, console.now_ms(), console.out_paint);
    }
    return exit_code_of_run(*view);
}

int cancel(Control& control, const Console& console, const CancelArgs& args, Output output) {
    const auto run = find_run(control, args.run);
    if (!run) return console.complain(run.error());
    const auto view = control.cancel(*run);
    if (!view) return console.complain(view.error());
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(*view));
    } else if (view->state == language::RunState::kDone) {
        console.out << view->run.value << " is over: "
                    << language::to_string(view->status.value_or(language::Status::kCancelled)) << "\n";
    } else {
        console.out << view->run.value << " is being cancelled; it is " << language::to_string(view->state)
                    << " now\n";
    }
    return 0;
}

}  // namespace nsa::cli
