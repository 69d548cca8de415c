#include "daemon/saves.hpp"

#include <map>

#include "language/failpoint.hpp"

namespace nsa::daemon {

using scheduler::Action;
using scheduler::SaveIntent;
using scheduler::SaveRun;

namespace {

// One failpoint for every state that a row can be left in.
void pass_saved(const Action& saved) {
    using language::RunState;
    if (std::holds_alternative<SaveIntent>(saved)) return failpoint("daemon.intent.after_commit");
    switch (std::get<SaveRun>(saved).state) {
        case RunState::kQueued:
            return failpoint("daemon.saved.queued");
        case RunState::kProvisioning:
            return failpoint("daemon.saved.provisioning");
        case RunState::kStaging:
            return failpoint("daemon.saved.staging");
        case RunState::kSetup:
            return failpoint("daemon.saved.setup");
        case RunState::kRunning:
            return failpoint("daemon.saved.running");
        case RunState::kLost:
            return failpoint("daemon.saved.lost");
        case RunState::kCollecting:
            return failpoint("daemon.saved.collecting");
        case RunState::kDone:
            return;  // publish.cpp
    }
}

Result<void> write(store::Store& store, const Action& action, std::int64_t at_ms) {
    if (const auto* intent = std::get_if<SaveIntent>(&action)) {
        failpoint("daemon.intent.before_commit");
        return store.begin_attempt(intent->run, intent->attempt, intent->instance, at_ms);
    }
    const auto& save = std::get<SaveRun>(action);
    store::RunChange change;
    change.state = save.state;
    change.reason = save.reason;
    change.message = save.message;
    change.attempts_over = save.over;
    change.retries = save.retries;
    change.at_ms = at_ms;
    const scheduler::FailedTry& failed = save.failed;
    if (failed.reason != language::Reason::kNone)
        change.failed = {save.retries, failed.attempt, failed.instance, failed.reason, failed.message, at_ms};
    if (!save.lease.empty()) change.lease = save.lease;
    failpoint("daemon.save.before_commit");
    const Result<std::uint64_t> written = store.set_run_state(save.run, change);
    if (!written) return written.error();
    return {};
}

bool is_refusal(const Error& error) {
    return error.code == ErrorCode::kConflict || error.code == ErrorCode::kNotFound;
}

}  // namespace

bool is_save(const Action& action) {
    return std::holds_alternative<SaveRun>(action) || std::holds_alternative<SaveIntent>(action);
}

RunId run_of(const Action& action) {
    return std::visit(
        [](const auto& one) {
            if constexpr (requires { one.run; }) {
                return one.run;
            } else if constexpr (requires { one.ticket; }) {
                return one.ticket.run;
            } else {
                return RunId{};
            }
        },
        action);
}

Result<std::vector<Result<void>>> write_saves(store::Store& store, std::span<const Action> saves,
                                              std::int64_t at_ms) {
    std::vector<Result<void>> results;
    std::map<RunId, Error> refused;
    const Result<void> committed = store.together([&]() -> Result<void> {
        for (const Action& one : saves) {
            const auto earlier = refused.find(run_of(one));
            Result<void> written = earlier == refused.end() ? write(store, one, at_ms) : earlier->second;
            if (!written && !is_refusal(written.error())) return written;
            if (!written) refused.emplace(run_of(one), written.error());
            results.push_back(std::move(written));
        }
        return {};
    });
    if (!committed) return committed.error();
    for (const Action& one : saves)
        pass_saved(one);
    return results;
}

}  // namespace nsa::daemon
