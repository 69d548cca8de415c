// The instances that are known, as configured, probed and connected. The store keeps the first two.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/link.hpp"

namespace nsa::daemon {

struct InstanceEntry {
    engines::InstanceConfig config;
    std::map<std::string, std::string> facts;  // of the last probe; empty: none
    std::int64_t probed_ms = 0;
    std::string state = "unknown", message;  // "unknown", "connecting", "ready", "unreachable", "refused"
    std::shared_ptr<Link> link;
};

class Instances {
  public:
    struct Parts {
        boost::asio::any_io_executor loop;
        engines::Engine& local;
        engines::Engine& ssh;
        Books& books;
        TaskGroup& tasks;
        std::function<void(scheduler::Event)> emit;
        std::function<double()> jitter;
    };
    explicit Instances(Parts parts) : parts_(std::move(parts)), changed_(parts_.loop) {}

    // From its row. kCorrupt when the stored configuration cannot be read.
    Result<void> load(const store::InstanceRow& row);
    // Checked, durable, and known from here on; an older link of that name is closed.
    boost::asio::awaitable<Result<void>> put(engines::InstanceConfig config);
    // Asks the host now and keeps the answer. The link must be up.
    boost::asio::awaitable<Result<void>> probe(InstanceName name);

    void connect(const InstanceName& name);
    void check(const InstanceName& name);
    void close_all();

    const InstanceEntry* find(const InstanceName& name) const;
    const std::map<InstanceName, InstanceEntry>& all() const { return entries_; }
    std::shared_ptr<HostSession> session(const InstanceName& name) const;
    // Until its state is not "connecting" any more, or the time is over.
    boost::asio::awaitable<void> wait_settled(InstanceName name, std::chrono::milliseconds limit);

  private:
    InstanceEntry& enter(engines::InstanceConfig config);
    void heard(const scheduler::Event& event);  // of its links, on the way to the scheduler
    void set_state(InstanceEntry& entry, std::string state, std::string message);
    boost::asio::awaitable<void> probe_new(InstanceName name);

    Parts parts_;
    std::map<InstanceName, InstanceEntry> entries_;
    Changes changed_;  // keyed by the instance's name
};

store::InstanceRow row_of(const engines::InstanceConfig& config, std::int64_t created_ms);

}  // namespace nsa::daemon
