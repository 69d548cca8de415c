#include "cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/run_text.hpp"

namespace nsa::cli {
namespace {

using api::CaseView;
using api::RunView;
using language::RunState;

std::string duration_of(const CaseView& view) {
    return human_duration(static_cast<std::int64_t>(view.seconds * 1000));
}

const CaseView* find_case(const std::optional<RunView>& run, std::size_t index, const CaseKey& key) {
    if (!run || index >= run->cases.size() || run->cases[index].key != key) return nullptr;
    return &run->cases[index];
}

// `told`: the run's own message; a case that ends for the same reason does not repeat it.
std::string case_change(const CaseView& view, std::string_view told, Paint paint) {
    const std::string key = harmless(view.key.value);
    if (view.verdict) {
        const std::string why =
            view.reason.empty() || view.reason == told ? "" : ": " + harmless(view.reason);
        return paint(language::to_string(*view.verdict), colour_of(*view.verdict)) + " " + key + " " +
               duration_of(view) + why;
    }
    if (view.state == "finished") return key + " finished " + duration_of(view);
    const std::string why = view.reason.empty() ? "" : ": " + harmless(view.reason);
    return key + " " + harmless(view.state) + why;
}

std::string state_change(const RunView& run, Paint paint) {
    std::string line = paint(language::to_string(run.state), Colour::kCyan);
    if (!run.instance.empty() && run.state != RunState::kDone) line += " on " + harmless(run.instance.value);
    if (run.attempt.value > 1) line += fmt::format(", attempt {}", run.attempt.value);
    if (run.status) line += " " + paint(language::to_string(*run.status), colour_of(*run.status));
    if (!run.message.empty()) line += ": " + harmless(run.message);
    return line;
}

std::string mark(const CaseView& view) {
    if (view.verdict) return std::string(language::to_string(*view.verdict));
    return view.state;
}

Colour mark_colour(const CaseView& view) {
    if (view.verdict) return colour_of(*view.verdict);
    return view.state == "running" ? Colour::kCyan : Colour::kDim;
}

// Which cases to show when not all fit: running ones, then the last that ended, then the next to come.
std::vector<const CaseView*> choose_cases(const RunView& run, std::size_t most) {
    const auto total = static_cast<std::ptrdiff_t>(run.cases.size());
    const auto wanted = static_cast<std::ptrdiff_t>(std::min(most, run.cases.size()));
    std::ptrdiff_t focus = total - 1;  // the first that is not over
    for (std::ptrdiff_t i = total - 1; i >= 0; --i) {
        const CaseView& view = run.cases[static_cast<std::size_t>(i)];
        if (view.state == "running" || view.state == "waiting") focus = i;
    }
    const std::ptrdiff_t first = std::clamp<std::ptrdiff_t>(focus - wanted / 2, 0, total - wanted);
    std::vector<const CaseView*> chosen;
    for (std::ptrdiff_t i = first; i < first + wanted; ++i)
        chosen.push_back(&run.cases[static_cast<std::size_t>(i)]);
    return chosen;
}

std::string case_line(const CaseView& view, const RunningSince& since, std::int64_t now_ms,
                      std::size_t key_width, std::size_t columns, Paint paint) {
    std::string time;
    if (const auto began = since.find(view.key); view.state == "running" && began != since.end())
        time = human_duration(now_ms - began->second);
    if (view.seconds > 0) time = duration_of(view);
    const std::string key = fit(harmless(view.key.value), key_width);
    const std::string padding(key_width - columns_of(key), ' ');
    const std::string plain = fmt::format("  {:<13} {}{}  {:>8}", mark(view), key, padding, time);
    const std::size_t taken = std::min(columns, columns_of(plain) + 2);
    const std::string why = fit(harmless(view.reason), columns - taken);
    // The mark is painted after its width is settled: escapes take no columns.
    return "  " + paint(mark(view), mark_colour(view)) + plain.substr(2 + mark(view).size()) +
           (why.empty() || taken == columns ? "" : "  " + why);
}

}  // namespace

std::vector<std::string> changes(const std::optional<RunView>& before, const RunView& after, Paint paint) {
    std::vector<std::string> lines;
    const bool is_over = after.state == RunState::kDone;
    const bool state_changed = !before || before->state != after.state || before->message != after.message ||
                               before->attempt != after.attempt;
    if (state_changed && !is_over) lines.push_back(state_change(after, paint));
    for (std::size_t i = 0; i < after.cases.size(); ++i) {
        const CaseView& view = after.cases[i];
        const CaseView* old = find_case(before, i, view.key);
        if (old != nullptr && old->state == view.state && old->verdict == view.verdict) continue;
        if (view.state != "waiting" || old != nullptr)
            lines.push_back(case_change(view, after.message, paint));
    }
    if (state_changed && is_over) lines.push_back(state_change(after, paint));
    return lines;
}

std::vector<std::string> live_lines(const RunView& run, const RunningSince& since, std::int64_t now_ms,
                                    int columns, int rows, Paint paint) {
    const auto width = static_cast<std::size_t>(std::max(columns, 40));
    const auto height = static_cast<std::size_t>(std::max(rows, 4));
    std::string head = fmt::format("{}  {}", run.run.value, harmless(run.name));
    if (!run.instance.empty()) head += "  on " + harmless(run.instance.value);
    head += "  " + human_duration(elapsed_ms(run, now_ms));
    std::vector<std::string> lines{paint(language::to_string(run.state), Colour::kCyan) + "  " +
                                   fit(head, width - 16)};
    if (!run.message.empty()) lines.push_back("  " + fit(harmless(run.message), width - 2));

    const auto shown = choose_cases(run, height - lines.size() - 1);
    std::size_t key_width = 0;
    for (const CaseView* view : shown)
        key_width = std::max(key_width, columns_of(harmless(view->key.value)));
    key_width = std::min(key_width, width - 28);
    for (const CaseView* view : shown)
        lines.push_back(case_line(*view, since, now_ms, key_width, width, paint));
    if (shown.size() < run.cases.size())
        lines.push_back(paint("  " + fit(case_counts(run), width - 2), Colour::kDim));
    return lines;
}

}  // namespace nsa::cli
