// The API's calls, on the daemon's parts. Reads come from the store; whatever changes a run goes through the
// scheduler.
#pragma once

#include <functional>

#include "api/service.hpp"
#include "daemon/acts.hpp"

namespace nsa::daemon {

class DaemonService : public api::Service {
  public:
    // mint: a new run id. Both outlive the object.
    DaemonService(Workplace& place, std::function<RunId(std::int64_t wall_ms)> mint)
        : place_(place), mint_(std::move(mint)) {}

    api::Async<api::SubmitReply> submit(api::SubmitRequest request) override;
    api::Async<std::vector<api::RunView>> list_runs(int limit) override;
    api::Async<api::RunView> wait_run(RunId run, std::uint64_t since,
                                      std::chrono::milliseconds wait) override;
    api::Async<api::LogChunk> read_log(api::LogRequest request) override;
    api::Async<api::RunView> cancel(RunId run) override;
    api::Async<api::ReportView> report(RunId run) override;
    api::Async<std::vector<api::ArtifactView>> artifacts(RunId run) override;
    api::Async<api::InstanceView> add_instance(api::InstanceRequest request) override;
    api::Async<api::InstanceView> probe_instance(InstanceName name) override;
    api::Async<std::vector<api::InstanceView>> list_instances() override;
    api::Async<api::VersionView> version() override;

    // Calls that have not returned. A caller may go away without its call: a shutdown waits for it.
    std::size_t calls() const { return calls_; }

  private:
    struct Call {
        explicit Call(std::size_t& calls) : count(calls) { ++count; }
        ~Call() { --count; }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
        std::size_t& count;
    };
    api::Async<store::RunRow> find_run(RunId run);

    Workplace& place_;
    std::function<RunId(std::int64_t)> mint_;
    std::size_t calls_ = 0;
};

}  // namespace nsa::daemon
