#include "daemon/adoption.hpp"

#include <algorithm>
#include <future>
#include <span>

#include "daemon/recovery.hpp"
#include "daemon/run_book.hpp"

namespace nsa::daemon {

using scheduler::RunRestored;

namespace {

constexpr std::size_t kAtOnce = 512;  // documents in memory

RunRestored restored(const store::RunRow& row, const Result<store::RunDocuments>& documents) {
    if (!documents) return unreadable_event(row, documents.error());
    const Result<language::Plan> plan = read_plan(documents->plan_json);
    return plan ? restored_event(row, *plan) : unreadable_event(row, plan.error());
}

// rows[i] with documents[i] to events[i].
void restore(std::span<const store::RunRow> rows, std::span<const Result<store::RunDocuments>> documents,
             std::span<RunRestored> events) {
    for (std::size_t i = 0; i < rows.size(); ++i)
        events[i] = restored(rows[i], documents[i]);
}

}  // namespace

Result<std::vector<RunRestored>> runs_to_adopt(store::Store& store) {
    const Result<std::vector<store::RunRow>> rows = store.load_active_runs();
    if (!rows) return rows.error();
    std::vector<RunRestored> events(rows->size());
    for (std::size_t begin = 0; begin < rows->size(); begin += kAtOnce) {
        const std::size_t count = std::min(kAtOnce, rows->size() - begin), half = count / 2;
        const auto some = std::span<const store::RunRow>(*rows).subspan(begin, count);
        const auto made = std::span<RunRestored>(events).subspan(begin, count);
        std::vector<Result<store::RunDocuments>> documents;
        documents.reserve(count);
        for (const store::RunRow& row : some)
            documents.push_back(store.documents(row.run));
        const std::span<const Result<store::RunDocuments>> read(documents);
        std::future<void> others = std::async(std::launch::async, &restore, some.subspan(half),
                                              read.subspan(half), made.subspan(half));
        restore(some.first(half), read.first(half), made.first(half));
        others.get();
    }
    sort_for_adoption(events);
    return events;
}

}  // namespace nsa::daemon
