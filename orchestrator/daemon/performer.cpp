#include "daemon/performer.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <span>

#include "daemon/clock.hpp"
#include "daemon/may_pass.hpp"
#include "daemon/saves.hpp"
#include "instances/probe.hpp"

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

std::optional<act::Ticket> ticket_of(const act::Action& action) {
    return std::visit(
        [](const auto& one) -> std::optional<act::Ticket> {
            if constexpr (requires { one.ticket; }) {
                return one.ticket;
            } else {
                return std::nullopt;
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

bool can_wait(const act::Action& action) {
    const auto* save = std::get_if<act::SaveRun>(&action);
    return save && save->state == language::RunState::kQueued;
}

}  // namespace

Performer::Performer(asio::any_io_executor loop, Workplace& place, TaskGroup& tasks)
    : place_(place), tasks_(tasks), hurry_(loop), timer_(loop) {
    state_.mismatch = &instances::mismatch;
}

void Performer::stop() {
    stopped_ = true;
    timer_.cancel();
}

void Performer::apply(const scheduler::Event& event) {
    // What is not recorded must not be acted on: jobs on hosts are left alone for the next daemon.
    if (stopped_ || place_.books.broken()) return;
    std::vector<act::Action> actions = scheduler::step(state_, event, monotonic_now());
    for (act::Action& action : actions) {
        // Nothing to be written first: it starts at once.
        if (!draining_ && pending_.empty() && !is_save(action)) {
            start(std::move(action));
        } else {
            urgent_ |= !can_wait(action);
            pending_.push_back(std::move(action));
        }
    }
    if (urgent_) hurry_.cancel();
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

// A run that waits has a new text: nobody needs it this millisecond, and the next submission would wait
// behind its fsync. Such saves gather until something else is to be done.
asio::awaitable<void> Performer::gather() {
    constexpr std::chrono::milliseconds kLongest{20};
    constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);
    if (urgent_) co_return;
    hurry_.expires_after(kLongest);
    (void)co_await hurry_.async_wait(kQuiet);
}

asio::awaitable<void> Performer::drain() {
    while (!pending_.empty()) {
        co_await gather();
        std::vector<act::Action> saves, acts;
        for (act::Action& action : pending_)
            (is_save(action) ? saves : acts).push_back(std::move(action));
        pending_.clear();
        urgent_ = false;
        std::map<RunId, Error> refused;
        const bool saved = co_await save_or_give_up(std::move(saves), refused);
        if (!saved) co_return;
        for (act::Action& action : acts) {
            const auto error = refused.find(run_of(action));
            if (error == refused.end()) {
                start(std::move(action));
            } else if (const std::optional<act::Ticket> ticket = ticket_of(action)) {
                // It must not happen, and its run must not wait for it either.
                apply(act::ActFailed{*ticket, error->second});
            }
        }
    }
    draining_ = false;
}

// An exception of a save is a bug or a lost resource. What it left in the store is not known, and going on
// without it would leave every later save and act waiting: the store is opened anew instead.
asio::awaitable<bool> Performer::save_or_give_up(std::vector<act::Action> saves,
                                                 std::map<RunId, Error>& refused) {
    std::string thrown;
    try {
        co_await save(std::move(saves), refused);
        co_return true;
    } catch (const std::exception& error) {
        if (stopped_) throw;  // the end of all tasks
        thrown = error.what();
    }
    place_.books.give_up(fail(ErrorCode::kInternal, "a save threw: " + thrown, "the store"));
    co_return false;
}

asio::awaitable<void> Performer::save(std::vector<act::Action> saves, std::map<RunId, Error>& refused) {
    constexpr std::chrono::seconds kAgain{1};
    constexpr std::size_t kAtOnce = 64;  // then others have their turn at the store
    std::size_t done = 0;
    while (done < saves.size()) {
        const std::span<const act::Action> some =
            std::span<const act::Action>(saves).subspan(done, std::min(kAtOnce, saves.size() - done));
        auto work = [some](store::Store& store) { return write_saves(store, some, wall_ms()); };
        const Result<std::vector<Result<void>>> written = co_await place_.books.read(work);
        if (!written) {
            if (last_trouble_ != written.error())
                place_.log.error("the store cannot write, all acts wait: " + written.error().describe());
            last_trouble_ = written.error();
            co_await pause_for(kAgain);
            continue;
        }
        for (std::size_t i = 0; i < some.size(); ++i) {
            const RunId run = run_of(some[i]);
            place_.books.changes().ring(run);
            if ((*written)[i]) continue;
            place_.log.error("a save was refused: " + (*written)[i].error().describe());
            refused.emplace(run, (*written)[i].error());
        }
        done += some.size();
    }
    if (last_trouble_) place_.log.info("the store writes again");
    last_trouble_.reset();
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
    if (place_.books.broken()) return;  // no failure of the act
    place_.log.warn("run " + ticket.run.value + ": " + error.describe());
    apply(scheduler::ActFailed{ticket, error});
}

void Performer::render(RunId run) {
    tasks_.spawn(report(run), "report " + run.value);
}

void Performer::render_missing() {
    tasks_.spawn(missing_reports(std::chrono::milliseconds::zero()), "missing reports");
}

asio::awaitable<void> Performer::report(RunId run) {
    const Result<store::ReportRow> rendered = co_await render_report(place_, run);
    if (rendered) {
        place_.log.info("run " + run.value + ": report " + rendered->markdown_path);
        co_return;
    }
    place_.log.error("run " + run.value + ": no report: " + rendered.error().describe());
    if (!may_pass(rendered.error()) || std::exchange(reports_wait_, true)) co_return;
    tasks_.spawn(missing_reports(place_.config.reports_again), "missing reports");
}

// One after the other; a disk that is still full is asked once, and later again.
asio::awaitable<void> Performer::missing_reports(std::chrono::milliseconds after) {
    if (after.count() > 0) co_await pause_for(after);
    reports_wait_ = false;
    auto find = [](store::Store& store) { return store.runs_without_report(); };
    const Result<std::vector<RunId>> runs = co_await place_.books.read(find);
    if (!runs) {
        place_.log.error("reports that are missing are not rendered: " + runs.error().describe());
        co_return;
    }
    for (const RunId& run : *runs) {
        if (stopped_ || reports_wait_) co_return;
        co_await report(run);
    }
}

}  // namespace nsa::daemon
