// From a leased instance to a started run: tools there, then the launch.
#include <boost/json/serialize.hpp>

#include "daemon/acts.hpp"
#include "daemon/clock.hpp"
#include "daemon/tools.hpp"
#include "language/failpoint.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;

namespace {

// The worker gives up first, so that its reason arrives.
constexpr std::chrono::seconds kLaunchAnswer = protocol::kLaunchTime + std::chrono::seconds(10);

struct Prepared {
    std::shared_ptr<HostSession> session;
    std::shared_ptr<ActiveRun> active;
    Tools tools;
};

// Also before a launch that is repeated after a restart: what is there by hash costs one question.
asio::awaitable<Result<Prepared>> prepare(Workplace& place, RunId run, InstanceName name) {
    Prepared prepared;
    prepared.session = place.instances.session(name);
    const InstanceEntry* entry = place.instances.find(name);
    if (!prepared.session || !entry) co_return link_is_down(name);
    const engines::InstanceConfig instance = entry->config;
    Result<std::shared_ptr<ActiveRun>> active = co_await place.runs.find(run);
    if (!active) co_return active.error();
    prepared.active = std::move(*active);
    Result<Tools> tools =
        co_await provide_tools(prepared.active->plan, place.config, instance, prepared.session, place.disk);
    if (!tools) co_return tools.error();
    failpoint("daemon.stage.tools_there");
    prepared.tools = std::move(*tools);
    co_return prepared;
}

protocol::Launch launch_message(const scheduler::Ticket& ticket, const Prepared& prepared) {
    language::Plan plan = prepared.active->plan;
    plan.setup.insert(plan.setup.begin(), prepared.tools.setup.begin(), prepared.tools.setup.end());
    protocol::Launch message;
    message.run = {ticket.run, ticket.attempt};
    message.spec_yaml = prepared.active->spec_yaml;
    message.plan_json = boost::json::serialize(language::to_json(plan));
    message.tools = prepared.tools.paths;
    return message;
}

}  // namespace

ActResult stage(Workplace& place, scheduler::Stage act) {
    failpoint("daemon.stage.begin");
    const Result<Prepared> prepared = co_await prepare(place, act.ticket.run, act.instance);
    if (!prepared) co_return prepared.error();
    co_return scheduler::Event(scheduler::Staged{act.ticket});
}

ActResult launch(Workplace& place, scheduler::Launch act) {
    const Result<Prepared> prepared = co_await prepare(place, act.ticket.run, act.instance);
    if (!prepared) co_return prepared.error();
    protocol::Launch message = launch_message(act.ticket, *prepared);
    failpoint("daemon.launch.before_send");
    const Result<protocol::LaunchReply> reply =
        co_await prepared->session->client.launch(std::move(message), kLaunchAnswer);
    if (!reply) co_return reply.error();
    failpoint("daemon.launch.answered");
    const store::LaunchRecord record{reply->pid, reply->start_ticks, reply->boot_id, wall_ms()};
    auto save = [&](store::Store& store) {
        return store.record_launch(act.ticket.run, act.ticket.attempt, record);
    };
    const Result<void> saved = co_await place.books.write(act.ticket.run, save);
    if (!saved) co_return saved.error();
    failpoint("daemon.launch.recorded");
    const bool has_setup = !prepared->active->plan.setup.empty() || !prepared->tools.setup.empty();
    co_return scheduler::Event(scheduler::Launched{act.ticket, has_setup});
}

}  // namespace nsa::daemon
