// An api::Service in memory, for tests of the server, the client and nsactl: answers are set by the test,
// questions are recorded.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/service.hpp"

namespace nsa::test {

class FakeService final : public api::Service {
  public:
    explicit FakeService(boost::asio::any_io_executor executor) : changed_(executor) {}

    // Set before the calls; afterwards only on the executor.
    std::optional<Error> failure;  // every call answers it
    bool throws = false;           // every call throws
    std::deque<Error> hiccups;     // answered by wait_run, one each, before it works
    std::map<RunId, api::RunView> runs;
    // What a run becomes, one view each time somebody waits for more than is known.
    std::deque<api::RunView> upcoming;
    std::function<void()> on_wait = [] {};  // when wait_run is about to wait
    std::function<void()> on_log_wait = [] {};
    std::function<void()> on_cancel = [] {};                      // before it is answered
    std::map<std::pair<CaseKey, std::string>, std::string> logs;  // by case and stream
    bool logs_complete = true;
    Attempt log_attempt{1};  // whose logs these are
    std::vector<api::ArtifactView> artifact_list;
    std::vector<api::InstanceView> instance_list;
    api::ReportView report_view;
    std::optional<Error> report_error;
    api::VersionView version_view;

    std::vector<api::SubmitRequest> submissions;
    std::vector<api::LogRequest> log_requests;
    std::vector<api::InstanceRequest> instance_requests;
    std::vector<RunId> cancelled;
    int waits = 0;  // calls of wait_run that had to wait

    // A new view of a run, or new log bytes: wakes everybody who waits.
    void publish(api::RunView view);
    void append_log(const CaseKey& key, const std::string& bytes, bool complete);

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

  private:
    void check() const;  // throws when asked to
    Result<api::RunView> find(const RunId& run) const;
    boost::asio::awaitable<void> wait_for_change(std::chrono::milliseconds at_most);

    boost::asio::steady_timer changed_;
};

// A view with every field set to something of its own.
api::RunView full_run_view();
api::InstanceView full_instance_view();

}  // namespace nsa::test
