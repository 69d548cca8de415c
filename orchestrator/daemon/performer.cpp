#include "daemon/performer.hpp"

#include <algorithm>

#include "daemon/clock.hpp"
#include "instances/probe.hpp"
#include "language/failpoint.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
namespace act = scheduler;

namespace {

template <class... Fs>
struct Overloaded : Fs... {
    using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

bool is_save(const act::Action& action) {
    return std::holds_alternative<act::SaveRun>(action) || std::holds_alternative<act::SaveIntent>(action);
}

// One failpoint for every state that a row can be left in.
void pass_saved(language::RunState state) {
    using language::RunState;
    switch (state) {
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

Result<void> write(store::Store& store, const act::Action& action) {
    const std::int64_t at_ms = wall_ms();
    if (const auto* intent = std::get_if<act::SaveIntent>(&action)) {
        failpoint("daemon.intent.before_commit");
        Result<void> begun = store.begin_attempt(intent->run, intent->attempt, intent->instance, at_ms);
        failpoint("daemon.intent.after_commit");
        return begun;
    }
    const auto& save = std::get<act::SaveRun>(action);
    store::RunChange change{save.state, save.reason, save.message, std::nullopt, at_ms};
    if (!save.lease.empty()) change.lease = save.lease;
    failpoint("daemon.save.before_commit");
    const Result<std::uint64_t> written = store.set_run_state(save.run, change);
    if (!written) return written.error();
    pass_saved(save.state);
    return {};
}

RunId run_of(const act::Action& action) {
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

template <class Act>
InstanceName instance_of(const Act& one) {
    if constexpr (requires { one.instance; }) {
        return one.instance;
    } else {
        return {};
    }
}

}  // namespace

Performer::Performer(asio::any_io_executor loop, Workplace& place, TaskGroup& tasks)
    : place_(place), tasks_(tasks), timer_(loop) {
    state_.mismatch = &instances::mismatch;
}

void Performer::stop() {
    stopped_ = true;
    timer_.cancel();
}

void Performer::apply(const scheduler::Event& event) {
    if (stopped_) return;
    std::vector<act::Action> actions = scheduler::step(state_, event, monotonic_now());
    for (act::Action& action : actions) {
        // Nothing to be written first: it starts at once.
        if (!draining_ && pending_.empty() && !is_save(action)) {
            start(std::move(action));
        } else {
            pending_.push_back(std::move(action));
        }
    }
    if (!pending_.empty() && !draining_) {
        draining_ = true;
        tasks_.spawn(drain(), "saves");
    }
    arm_timer();
}

void Performer::arm_timer() {
    const std::optional<scheduler::Instant> due = scheduler::next_deadline(state_);
    if (due == armed_) return;
    armed_ = due;
    timer_.cancel();
    if (!due) return;
    timer_.expires_at(*due);
    timer_.async_wait([this](boost::system::error_code ec) {
        if (ec || stopped_) return;
        armed_.reset();
        apply(scheduler::Tick{});
    });
}

asio::awaitable<void> Performer::drain() {
    while (!pending_.empty()) {
        std::vector<act::Action> saves, acts;
        for (act::Action& action : pending_)
            (is_save(action) ? saves : acts).push_back(std::move(action));
        pending_.clear();
        std::set<RunId> refused;
        if (!saves.empty()) co_await save(std::move(saves), refused);
        for (act::Action& action : acts) {
            if (!refused.contains(run_of(action))) start(std::move(action));
        }
    }
    draining_ = false;
}

asio::awaitable<void> Performer::save(std::vector<act::Action> saves, std::set<RunId>& refused) {
    constexpr std::chrono::seconds kAgain{1};
    constexpr std::size_t kAtOnce = 32;  // then others have their turn at the store
    std::size_t done = 0;
    while (done < saves.size()) {
        auto work = [&](store::Store& store) -> Result<void> {
            const std::size_t stop = std::min(done + kAtOnce, saves.size());
            for (; done < stop; ++done) {
                if (Result<void> written = write(store, saves[done]); !written) return written;
            }
            return {};
        };
        const std::size_t before = done;
        const Result<void> written = co_await place_.books.read(work);
        for (std::size_t i = before; i < done; ++i)
            place_.books.changes().ring(run_of(saves[i]));
        if (written) continue;
        if (written.error().code == ErrorCode::kConflict || written.error().code == ErrorCode::kNotFound) {
            // The store knows better, so what follows for this run must not happen.
            place_.log.error("a save was refused: " + written.error().describe());
            refused.insert(run_of(saves[done++]));
            continue;
        }
        place_.log.error("the store cannot write, all acts wait: " + written.error().describe());
        co_await pause_for(kAgain);
    }
}

void Performer::start(act::Action action) {
    std::visit(
        Overloaded{
            [](act::SaveRun&) {}, [](act::SaveIntent&) {},
            [this](act::Connect& one) { place_.instances.connect(one.instance); },
            [this](act::Stage& one) { tasks_.spawn(answer(&stage, one), "stage " + one.ticket.run.value); },
            [this](act::Launch& one) {
                tasks_.spawn(answer(&launch, one), "launch " + one.ticket.run.value);
            },
            [this](act::Attach& one) {
                tasks_.spawn(answer(&follow, one), "follow " + one.ticket.run.value);
            },
            [this](act::Collect& one) {
                tasks_.spawn(answer(&collect, one), "collect " + one.ticket.run.value);
            },
            [this](act::Publish& one) {
                tasks_.spawn(answer(&publish, one), "publish " + one.ticket.run.value);
            },
            [this](act::StopRun& one) { tasks_.spawn(stop_run(place_, one), "stop " + one.run.value); },
            [this](act::StopStray& one) { tasks_.spawn(stop_stray(place_, one), "stop " + one.run.value); },
            [this](act::Report& one) { render(one.run); }},
        action);
}

template <class Act>
asio::awaitable<void> Performer::answer(ActResult (*perform)(Workplace&, Act), Act act) {
    const scheduler::Ticket ticket = act.ticket;
    const InstanceName instance = instance_of(act);
    const std::shared_ptr<HostSession> session = place_.instances.session(instance);
    std::optional<Result<scheduler::Event>> result;
    std::string thrown;
    try {
        result.emplace(co_await perform(place_, std::move(act)));
    } catch (const std::exception& error) {
        thrown = error.what();
    }
    if (stopped_) co_return;
    if (!result) result.emplace(fail(ErrorCode::kInternal, thrown, "run " + ticket.run.value));
    if (*result) {
        apply(**result);
    } else {
        act_failed(ticket, instance, result->error(), session);
    }
}

void Performer::act_failed(const scheduler::Ticket& ticket, const InstanceName& instance, const Error& error,
                           const std::shared_ptr<HostSession>& session) {
    const bool over_a_link = !instance.empty();
    if (over_a_link && (!session || !session->client.is_open())) {
        place_.instances.check(instance);  // its LinkDown says what happened, and voids the act
        return;
    }
    place_.log.warn("run " + ticket.run.value + ": " + error.describe());
    apply(scheduler::ActFailed{ticket, error});
}

void Performer::render(RunId run) {
    tasks_.spawn(report(run), "report " + run.value);
}

asio::awaitable<void> Performer::report(RunId run) {
    const Result<store::ReportRow> rendered = co_await render_report(place_, run);
    if (rendered) {
        place_.log.info("run " + run.value + ": report " + rendered->markdown_path);
    } else {
        place_.log.error("run " + run.value + ": no report: " + rendered.error().describe());
    }
}

}  // namespace nsa::daemon
