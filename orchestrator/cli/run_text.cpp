#include "cli/run_text.hpp"

#include <fmt/format.h>

#include <map>

#include "language/utc_time.hpp"

namespace nsa::cli {
namespace {

using api::CaseView;
using api::RunView;
using language::RunState;
using language::Status;
using language::Verdict;

constexpr std::size_t kNoteColumns = 100;

Cell state_cell(const RunView& run) {
    const std::string name(language::to_string(run.state));
    if (run.state == RunState::kDone) return {name, Colour::kDim};
    return {name, run.state == RunState::kLost ? Colour::kYellow : Colour::kCyan};
}

Cell status_cell(const RunView& run) {
    if (!run.status) return "-";
    return {std::string(language::to_string(*run.status)), colour_of(*run.status)};
}

Cell verdict_cell(const CaseView& view) {
    if (view.verdict) return {std::string(language::to_string(*view.verdict)), colour_of(*view.verdict)};
    return {view.state, view.state == "running" ? Colour::kCyan : Colour::kDim};
}

std::string cases_table(const RunView& run, Paint paint) {
    Table table({"CASE", "KIND", "VERDICT", ">TIME", "NOTE"});
    for (const CaseView& view : run.cases)
        table.add({harmless(view.key.value), harmless(view.kind), verdict_cell(view),
                   view.seconds > 0 ? human_duration(static_cast<std::int64_t>(view.seconds * 1000)) : "",
                   fit(harmless(view.reason), kNoteColumns)});
    return table.render(paint);
}

std::string field_line(std::string_view name, std::string_view text) {
    return text.empty() ? "" : fmt::format("  {:<9} {}\n", name, text);
}

std::string gpu_text(const std::map<std::string, std::string>& facts) {
    const auto count = facts.find("gpu_count");
    const auto name = facts.find("gpu.0.name");
    if (count == facts.end() || count->second == "0") return count == facts.end() ? "" : "none";
    const std::string model = name == facts.end() ? "GPU" : name->second;
    return harmless(count->second == "1" ? model : count->second + " x " + model);
}

Colour instance_colour(const std::string& state) {
    if (state == "ready") return Colour::kGreen;
    return state == "unreachable" || state == "refused" ? Colour::kRed : Colour::kYellow;
}

}  // namespace

Colour colour_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::kPass:
        case Verdict::kXfail:
            return Colour::kGreen;
        case Verdict::kFail:
        case Verdict::kXpass:
        case Verdict::kTimeout:
        case Verdict::kError:
            return Colour::kRed;
        default:
            return Colour::kYellow;
    }
}

Colour colour_of(Status status) {
    if (status == Status::kPass) return Colour::kGreen;
    return status == Status::kFail ? Colour::kRed : Colour::kYellow;
}

std::int64_t elapsed_ms(const RunView& run, std::int64_t now_ms) {
    return (run.finished_ms != 0 ? run.finished_ms : now_ms) - run.created_ms;
}

std::string runs_table(const std::vector<RunView>& runs, std::int64_t now_ms, Paint paint) {
    if (runs.empty()) return "no runs yet; submit one with: nsactl submit SPEC\n";
    Table table({"RUN", "EXPERIMENT", "STATE", "STATUS", "INSTANCE", "CREATED", ">TOOK"});
    for (const RunView& run : runs)
        table.add({run.run.value, harmless(run.name), state_cell(run), status_cell(run),
                   run.instance.empty() ? "-" : harmless(run.instance.value),
                   human_age(run.created_ms, now_ms), human_duration(elapsed_ms(run, now_ms))});
    return table.render(paint);
}

std::string case_counts(const RunView& run) {
    std::map<std::string, int> counts;  // sorted by name, so that equal runs read equal
    for (const CaseView& view : run.cases)
        ++counts[view.verdict ? std::string(language::to_string(*view.verdict)) : view.state];
    std::string parts;
    for (const auto& [name, count] : counts)
        parts += fmt::format("{} {} {}", parts.empty() ? ":" : ",", count, name);
    return fmt::format("{} case{}{}", run.cases.size(), run.cases.size() == 1 ? "" : "s", parts);
}

std::string run_page(const RunView& run, std::int64_t now_ms, Paint paint) {
    const Cell state = state_cell(run), status = status_cell(run);
    std::string out = paint(run.run.value, Colour::kBold) + "  " + harmless(run.name) + "  " +
                      paint(state.text, state.colour);
    if (run.status) out += "  " + paint(status.text, status.colour);
    out += "\n";
    out += field_line("subject", harmless(run.subject));
    if (!run.instance.empty())
        out += field_line("instance",
                          fmt::format("{}, attempt {}", harmless(run.instance.value), run.attempt.value));
    out +=
        field_line("created", language::utc_time(run.created_ms) + ", " + human_age(run.created_ms, now_ms));
    out += field_line("took", human_duration(elapsed_ms(run, now_ms)));
    if (run.reason != language::Reason::kNone) out += field_line("reason", language::to_string(run.reason));
    out += field_line("message", harmless(run.message));
    out += field_line("report", harmless(run.report_path));
    if (!run.cases.empty()) out += "\n" + cases_table(run, paint);
    return out;
}

std::string run_summary(const RunView& run, Paint paint) {
    const Cell status = status_cell(run);
    std::string out =
        fmt::format("{}  {}  {}  {}  took {}\n", paint(status.text, status.colour), harmless(run.name),
                    run.run.value, case_counts(run), human_duration(elapsed_ms(run, run.finished_ms)));
    // What ended the run ended every case that it kept from ending by itself: said once.
    std::size_t kept = 0;
    bool explained = false;  // by its cases
    for (const CaseView& view : run.cases) {
        const bool speaks = view.verdict && *view.verdict != Verdict::kPass && !view.reason.empty();
        const bool repeats = speaks && view.reason == run.message;
        kept += repeats ? 1 : 0;
        explained = explained || (speaks && !repeats);
        if (speaks && !repeats)
            out += fmt::format("  {} {}: {}\n",
                               paint(language::to_string(*view.verdict), colour_of(*view.verdict)),
                               harmless(view.key.value), harmless(view.reason));
    }
    if (!run.message.empty() && (kept > 0 || !explained)) out += "  " + harmless(run.message) + "\n";
    out += run.report_path.empty() ? "report: not rendered yet; try: nsactl report " + run.run.value + "\n"
                                   : "report: " + harmless(run.report_path) + "\n";
    return out;
}

std::string artifacts_table(const std::vector<api::ArtifactView>& artifacts, Paint paint) {
    if (artifacts.empty()) return "no artifacts yet; they come home when the run ends\n";
    Table table({"PATH", ">SIZE", "SHA256"});
    for (const api::ArtifactView& artifact : artifacts)
        table.add({harmless(artifact.path), human_size(artifact.size), artifact.sha256.value});
    return table.render(paint);
}

std::string instances_table(const std::vector<api::InstanceView>& instances, std::int64_t now_ms,
                            Paint paint) {
    if (instances.empty())
        return "no instances; register one with: nsactl instance add NAME root@HOST:PORT --key FILE\n";
    Table table({"NAME", "ENGINE", "ADDRESS", "STATE", "GPU", "PROBED", "MESSAGE"});
    for (const api::InstanceView& view : instances)
        table.add({harmless(view.name.value), harmless(view.engine), harmless(view.address),
                   Cell(harmless(view.state), instance_colour(view.state)), gpu_text(view.facts),
                   view.probed_ms == 0 ? "never" : human_age(view.probed_ms, now_ms),
                   fit(harmless(view.message), kNoteColumns)});
    return table.render(paint);
}

std::string instance_page(const api::InstanceView& view, std::int64_t now_ms, Paint paint) {
    std::string out = paint(harmless(view.name.value), Colour::kBold) + "  " +
                      paint(harmless(view.state), instance_colour(view.state)) + "\n";
    out += field_line("engine", harmless(view.engine));
    out += field_line("address", harmless(view.address));
    out += field_line("host key", harmless(view.host_key_fingerprint));
    out += field_line("message", harmless(view.message));
    if (view.probed_ms != 0)
        out += field_line("probed",
                          language::utc_time(view.probed_ms) + ", " + human_age(view.probed_ms, now_ms));
    if (view.facts.empty()) return out;
    Table table({"FACT", "VALUE"});
    for (const auto& [name, value] : view.facts)
        table.add({harmless(name), harmless(value)});
    return out + "\n" + table.render(paint);
}

}  // namespace nsa::cli
