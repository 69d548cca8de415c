// The verbs about what a run left: report, artifacts, pull.
#include <charconv>
#include <ostream>

#include "api/json.hpp"
#include "cli/commands.hpp"
#include "cli/pull.hpp"
#include "cli/run_text.hpp"
#include "language/verdict.hpp"

namespace nsa::cli {

namespace exit_code = language::exit_code;

namespace {

// What the name says: "... vN.md", with the other forms beside it.
api::ReportView rendered_report(const api::RunView& run) {
    api::ReportView view;
    view.run = run.run;
    view.status = *run.status;
    std::filesystem::path path = run.report_path;
    const std::string stem = path.stem().string();
    const std::size_t version = stem.rfind(" v");
    if (version != std::string::npos)
        std::from_chars(stem.data() + version + 2, stem.data() + stem.size(), view.version);
    view.markdown_path = path.string();
    view.html_path = path.replace_extension(".html").string();
    view.json_path = path.replace_extension(".json").string();
    return view;
}

// The report that is there; rendered when there is none, or when asked to.
Result<api::ReportView> find_report(Control& control, const ReportArgs& args) {
    const auto run = find_run(control, args.run);
    if (!run) return run.error();
    if (args.again) return control.report(*run);
    const auto view = control.wait_run(*run, 0, std::chrono::milliseconds{0});
    if (!view) return view.error();
    if (!view->status || view->report_path.empty()) return control.report(*run);
    return rendered_report(*view);
}

}  // namespace

int report(Control& control, const Console& console, const ReportArgs& args, Output output) {
    const auto view = find_report(control, args);
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
