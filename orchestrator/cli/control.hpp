// The service from a program that does one thing at a time: each call blocks until its answer or Ctrl-C.
// The only place of this box that knows Asio is control.cpp (and the backends that own a loop).
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "api/views.hpp"
#include "language/result.hpp"

namespace boost::asio {
class io_context;
}
namespace nsa::api {
class Service;
}

namespace nsa::cli {

class Control {
  public:
    // Both must outlive the object. Takes SIGINT over while it lives. The loop runs inside the calls only.
    Control(boost::asio::io_context& io, api::Service& service);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    // How often Ctrl-C was pressed. A call during which that happens returns at once with an error; what it
    // asked for may still happen.
    int interrupts() const;

    Result<api::SubmitReply> submit(api::SubmitRequest request);
    Result<std::vector<api::RunView>> list_runs(int limit);
    Result<api::RunView> wait_run(const RunId& run, std::uint64_t since, std::chrono::milliseconds wait);
    Result<api::LogChunk> read_log(const api::LogRequest& request);
    Result<api::RunView> cancel(const RunId& run);
    Result<api::ReportView> report(const RunId& run);
    Result<std::vector<api::ArtifactView>> artifacts(const RunId& run);
    Result<api::InstanceView> add_instance(api::InstanceRequest request);
    Result<api::InstanceView> probe_instance(const InstanceName& name);
    Result<std::vector<api::InstanceView>> list_instances();
    Result<api::VersionView> version();
    // Lets time pass; the loop runs. Ends early with Ctrl-C.
    void pause(std::chrono::milliseconds time);

  private:
    struct Loop;
    std::unique_ptr<Loop> loop_;
};

// A Control together with what it needs to live.
class Backend {
  public:
    virtual ~Backend() = default;
    virtual Control& control() = 0;
};

}  // namespace nsa::cli
