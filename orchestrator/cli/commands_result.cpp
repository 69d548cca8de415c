// The verbs about what a run left: report, artifacts, pull.
#include <ostream>

#include "api/json.hpp"
#include "cli/commands.hpp"
#include "cli/pull.hpp"
#include "cli/run_text.hpp"
#include "language/verdict.hpp"

namespace nsa::cli {

namespace exit_code = language::exit_code;

int report(Control& control, const Console& console, const ReportArgs& args, Output output) {
    const auto run = find_run(control, args.run);
    if (!run) return console.complain(run.error());
    const auto view = control.report(*run);
    if (!view) {
        const int code = console.complain(view.error());
        return view.error().code == ErrorCode::kConflict ? exit_code::kNotFinished : code;
    }
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(*view));
    } else if (args.print) {
        const auto text = read_whole_file(view->markdown_path);
        if (!text) return console.complain(text.error());
        console.out << (console.facts.out_is_tty ? harmless(*text, true) : *text);
    } else {
        console.out << view->markdown_path << "\n" << view->html_path << "\n" << view->json_path << "\n";
    }
    return language::exit_code_of(view->status);
}

int artifacts(Control& control, const Console& console, const ArtifactsArgs& args, Output output) {
    const auto run = find_run(control, args.run);
    if (!run) return console.complain(run.error());
    const auto list = control.artifacts(*run);
    if (!list) return console.complain(list.error());
    if (output == Output::kJson) {
        print_json(console, api::to_json_text(*list));
    } else {
        console.out << artifacts_table(*list, console.out_paint);
    }
    return 0;
}

int pull(Control& control, const Console& console, const PullArgs& args) {
    const auto run = find_run(control, args.run);
    if (!run) return console.complain(run.error());
    const auto list = control.artifacts(*run);
    if (!list) return console.complain(list.error());
    const std::filesystem::path into = args.into.empty() ? run->value : args.into;
    std::uint64_t bytes = 0;
    for (const api::ArtifactView& artifact : *list) {
        const auto pulled = pull_file(artifact, into);
        if (!pulled) return console.complain(pulled.error());
        bytes += artifact.size;
    }
    console.out << list->size() << (list->size() == 1 ? " file, " : " files, ") << human_size(bytes)
                << ", to " << into.string() << "\n";
    return 0;
}

}  // namespace nsa::cli
