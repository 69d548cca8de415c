// What the API offers, independent of HTTP: implemented by the daemon, called by the server in-process and,
// over the unix socket, by nsactl through api/client.hpp with the same interface. Values only cross it.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "api/views.hpp"
#include "language/result.hpp"

namespace nsa::api {

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

class Service {
  public:
    virtual ~Service() = default;
    virtual Async<SubmitReply> submit(SubmitRequest request) = 0;
    virtual Async<std::vector<RunView>> list_runs(int limit) = 0;  // newest first
    // The run once its version exceeds `since`, or as it is when `wait` is over. since 0: at once.
    virtual Async<RunView> wait_run(RunId run, std::uint64_t since, std::chrono::milliseconds wait) = 0;
    virtual Async<LogChunk> read_log(LogRequest request) = 0;
    virtual Async<RunView> cancel(RunId run) = 0;
    virtual Async<ReportView> report(RunId run) = 0;  // renders again; DONE runs only (kConflict)
    virtual Async<std::vector<ArtifactView>> artifacts(RunId run) = 0;
    virtual Async<InstanceView> add_instance(InstanceRequest request) = 0;
    virtual Async<InstanceView> probe_instance(InstanceName name) = 0;
    virtual Async<std::vector<InstanceView>> list_instances() = 0;
    virtual Async<VersionView> version() = 0;
};

}  // namespace nsa::api
