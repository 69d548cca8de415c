// Asking a host to end a run.
#include "daemon/acts.hpp"
#include "language/failpoint.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kAnswer{10};
constexpr std::chrono::seconds kLook{1};  // how often a stray is looked at until it is gone

}  // namespace

asio::awaitable<void> stop_run(Workplace& place, scheduler::StopRun act) {
    const std::shared_ptr<HostSession> session = place.instances.session(act.instance);
    if (!session) co_return;  // the scheduler asks again when the link is back
    const protocol::RunKey key{act.run, act.attempt};
    failpoint("daemon.stop.before_send");
    const Result<protocol::CancelReply> reply = co_await session->client.cancel(key, kAnswer);
    failpoint("daemon.stop.answered");
    if (!reply) place.instances.check(act.instance);
}

asio::awaitable<void> stop_stray(Workplace& place, scheduler::StopStray act) {
    const std::shared_ptr<HostSession> session = place.instances.session(act.instance);
    if (!session) co_return;  // the next LinkUp finds it again
    const protocol::RunKey key{act.run, act.attempt};
    place.log.warn("run " + act.run.value + " attempt " + std::to_string(act.attempt.value) +
                   " is over in the books but alive on instance " + act.instance.value + ": it is ended");
    for (;;) {
        const Result<protocol::CancelReply> reply = co_await session->client.cancel(key, kAnswer);
        if (!reply) {
            place.instances.check(act.instance);
            co_return;
        }
        if (reply->state != protocol::RemoteState::kRunning) break;
        co_await pause_for(kLook);
    }
    failpoint("daemon.stray.gone");
    place.emit(scheduler::StrayGone{act.instance, act.run, act.attempt});
}

}  // namespace nsa::daemon
