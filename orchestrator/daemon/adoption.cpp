#include "daemon/adoption.hpp"

#include "daemon/recovery.hpp"

namespace nsa::daemon {

using scheduler::RunRestored;

namespace {

// Plan and cases are large, and a run that waits needs little of them: with ten thousand of them, reading
// those is what a restart would take its time for.
Result<RunRestored> restored(store::Store& store, const store::RunRow& row, const std::string& outline) {
    if (waits(row) && !outline.empty()) {
        const Result<language::Plan> plan = language::plan_from_text(outline);
        if (plan) return restored_event(row, *plan);
    }
    const Result<store::RunRow> with_cases = store.find_run(row.run);
    if (!with_cases) return with_cases.error();
    return restored_from(*with_cases, store.documents(row.run));
}

}  // namespace

Result<std::vector<RunRestored>> runs_to_adopt(store::Store& store) {
    const Result<std::vector<store::RunRow>> rows = store.load_active_runs();
    if (!rows) return rows.error();
    const Result<std::vector<std::string>> outlines = store.load_active_outlines();
    if (!outlines) return outlines.error();
    std::vector<RunRestored> events;
    events.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
        Result<RunRestored> event = restored(store, (*rows)[i], outlines->at(i));
        if (!event) return event.error();
        events.push_back(std::move(*event));
    }
    sort_for_adoption(events);
    return events;
}

}  // namespace nsa::daemon
