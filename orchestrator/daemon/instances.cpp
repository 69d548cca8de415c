#include "daemon/instances.hpp"

#include "daemon/clock.hpp"
#include "instances/config.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using scheduler::InstanceProbed;
using scheduler::LinkDown;
using scheduler::LinkUp;

namespace {

constexpr std::chrono::seconds kProbeAnswer{60};  // nvidia-smi alone may take many seconds

RunId waiting_key(const InstanceName& name) {
    return RunId{name.value};
}

}  // namespace

store::InstanceRow row_of(const engines::InstanceConfig& config, std::int64_t created_ms) {
    store::InstanceRow row;
    row.name = config.name;
    row.engine = config.engine == language::EngineKind::kLocal ? "local" : "ssh";
    row.config_json = instances::to_json_text(config);
    row.host_key = config.host_key;
    row.created_ms = created_ms;
    return row;
}

InstanceEntry& Instances::enter(engines::InstanceConfig config) {
    InstanceEntry& entry = entries_[config.name];
    if (entry.link) entry.link->close();
    entry.config = config;
    const bool local = config.engine == language::EngineKind::kLocal;
    entry.link = std::make_shared<Link>(Link::Parts{.loop = parts_.loop,
                                                    .engine = local ? parts_.local : parts_.ssh,
                                                    .books = parts_.books,
                                                    .tasks = parts_.tasks,
                                                    .emit = [this](scheduler::Event event) { heard(event); },
                                                    .jitter = parts_.jitter},
                                        std::move(config));
    return entry;
}

Result<void> Instances::load(const store::InstanceRow& row) {
    Result<engines::InstanceConfig> config = instances::config_from_json_text(row.config_json);
    if (!config) return config.error();
    InstanceEntry& entry = enter(std::move(*config));
    entry.facts = row.facts;
    entry.probed_ms = row.probed_ms;
    return {};
}

asio::awaitable<Result<void>> Instances::put(engines::InstanceConfig config) {
    const Result<void> valid = instances::validate(config);
    if (!valid) co_return valid.error();
    const store::InstanceRow row = row_of(config, wall_ms());
    auto save = [&row](store::Store& store) { return store.put_instance(row); };
    const Result<void> saved = co_await parts_.books.read(save);
    if (!saved) co_return saved.error();
    InstanceEntry& entry = enter(std::move(config));
    entry.facts.clear();
    entry.probed_ms = 0;
    entry.state = "unknown";
    entry.message.clear();
    co_return Result<void>{};
}

asio::awaitable<Result<void>> Instances::probe(InstanceName name) {
    const std::shared_ptr<HostSession> up = session(name);
    if (!up) co_return fail(ErrorCode::kUnreachable, "it is not connected", "instance " + name.value);
    Result<protocol::ProbeReply> reply = co_await up->client.probe(kProbeAnswer);
    if (!reply) co_return reply.error();
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) co_return Result<void>{};
    entry->second.facts = std::move(reply->facts);
    entry->second.probed_ms = wall_ms();
    const std::map<std::string, std::string> facts = entry->second.facts;
    const std::int64_t probed_ms = entry->second.probed_ms;
    parts_.emit(InstanceProbed{name, facts});
    auto save = [&](store::Store& store) { return store.set_instance_facts(name, facts, probed_ms); };
    co_return co_await parts_.books.read(save);
}

void Instances::connect(const InstanceName& name) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return;
    set_state(found->second, "connecting", found->second.message);
    found->second.link->connect();
}

void Instances::check(const InstanceName& name) {
    if (const auto found = entries_.find(name); found != entries_.end()) found->second.link->check();
}

void Instances::close_all() {
    for (auto& [name, entry] : entries_)
        entry.link->close();
    changed_.close();
}

const InstanceEntry* Instances::find(const InstanceName& name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
}

std::shared_ptr<HostSession> Instances::session(const InstanceName& name) const {
    const InstanceEntry* entry = find(name);
    return entry ? entry->link->session() : nullptr;
}

asio::awaitable<void> Instances::wait_settled(InstanceName name, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    Changes::Waiter waiter(changed_, waiting_key(name));
    for (;;) {
        const InstanceEntry* entry = find(name);
        const bool settled = !entry || (entry->state != "connecting" && entry->state != "unknown");
        const bool over = changed_.closed() || std::chrono::steady_clock::now() >= deadline;
        if (settled || over) co_return;
        co_await waiter.wait_until(deadline);
    }
}

void Instances::set_state(InstanceEntry& entry, std::string state, std::string message) {
    if (entry.state == state && entry.message == message) return;
    entry.state = std::move(state);
    entry.message = std::move(message);
    changed_.ring(waiting_key(entry.config.name));
}

void Instances::heard(const scheduler::Event& event) {
    if (const LinkUp* up = std::get_if<LinkUp>(&event)) {
        InstanceEntry& entry = entries_.at(up->name);
        set_state(entry, "ready", "");
        // A later probe would disturb a measurement: the worker probes before each run anyway.
        if (entry.facts.empty()) parts_.tasks.spawn(probe_new(up->name), "probe of " + up->name.value);
    } else if (const LinkDown* down = std::get_if<LinkDown>(&event)) {
        const bool refused = down->reason == language::Reason::kHostKeyRefused ||
                             down->reason == language::Reason::kAuthRefused;
        set_state(entries_.at(down->name), refused ? "refused" : "unreachable", down->message);
    }
    parts_.emit(event);
}

asio::awaitable<void> Instances::probe_new(InstanceName name) {
    const Result<void> probed = co_await probe(name);
    if (!probed) check(name);  // the link, not the probe, says what is wrong
}

}  // namespace nsa::daemon
