// The service, reached over nsad's unix socket. Every call has a deadline and a connection of its own.
#pragma once

#include <chrono>
#include <filesystem>

#include "api/service.hpp"

namespace nsa::api {

// How long the daemon may take; a waiting call gets its wait on top.
struct ClientDeadlines {
    std::chrono::milliseconds answer{30'000};
    std::chrono::milliseconds report{120'000};  // rendering
    std::chrono::milliseconds probe{180'000};   // connecting to a host and pushing the worker
};

// kUnreachable when no daemon runs. Must outlive its awaitables; one thread at a time.
class Client final : public Service {
  public:
    explicit Client(std::filesystem::path socket, ClientDeadlines deadlines = {})
        : socket_(std::move(socket)), deadlines_(deadlines) {}

    // A submission with an idempotency key is tried once more when its answer was lost.
    Async<SubmitReply> submit(SubmitRequest request) override;
    Async<std::vector<RunView>> list_runs(int limit) override;
    Async<RunView> wait_run(RunId run, std::uint64_t since, std::chrono::milliseconds wait) override;
    Async<LogChunk> read_log(LogRequest request) override;
    Async<RunView> cancel(RunId run) override;
    Async<ReportView> report(RunId run) override;
    Async<std::vector<ArtifactView>> artifacts(RunId run) override;
    Async<InstanceView> add_instance(InstanceRequest request) override;
    Async<InstanceView> probe_instance(InstanceName name) override;
    Async<std::vector<InstanceView>> list_instances() override;
    Async<VersionView> version() override;

  private:
    template <class T>
    Async<T> call(std::string method, std::string target, std::string body,
                  std::chrono::milliseconds deadline);

    std::filesystem::path socket_;
    ClientDeadlines deadlines_;
};

}  // namespace nsa::api
