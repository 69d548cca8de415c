#include "daemon/run_book.hpp"

namespace nsa::daemon {

boost::asio::awaitable<Result<std::shared_ptr<ActiveRun>>> RunBook::find(RunId run) {
    if (const auto known = runs_.find(run); known != runs_.end()) co_return known->second;
    auto load = [&run](store::Store& store) { return store.documents(run); };
    Result<store::RunDocuments> documents = co_await books_.read(load);
    if (!documents) co_return documents.error();
    Result<language::Plan> plan = language::plan_from_text(documents->plan_json);
    if (!plan) {
        co_return fail(ErrorCode::kCorrupt, "its stored plan cannot be read: " + plan.error().describe(),
                       "run " + run.value);
    }
    auto active = std::make_shared<ActiveRun>();
    active->run = run;
    active->spec_yaml = std::move(documents->spec_yaml);
    active->plan = std::move(*plan);
    co_return runs_.try_emplace(run, std::move(active)).first->second;
}

}  // namespace nsa::daemon
