#include "fake_service.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

namespace nsa::test {

using api::Async;
using std::chrono::milliseconds;

void FakeService::check() const {
    if (throws) throw std::runtime_error("the fake broke");
}

Result<api::RunView> FakeService::find(const RunId& run) const {
    if (failure) return *failure;
    const auto found = runs.find(run);
    if (found == runs.end()) return fail(ErrorCode::kNotFound, "no such run", "run " + run.value);
    return found->second;
}

boost::asio::awaitable<void> FakeService::wait_for_change(milliseconds at_most) {
    changed_.expires_after(at_most);
    constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);
    co_await changed_.async_wait(kTuple);
}

void FakeService::publish(api::RunView view) {
    runs[view.run] = std::move(view);
    changed_.cancel();
}

void FakeService::append_log(const CaseKey& key, const std::string& bytes, bool complete) {
    logs[{key, "stdout"}] += bytes;
    logs_complete = complete;
    changed_.cancel();
}

Async<api::SubmitReply> FakeService::submit(api::SubmitRequest request) {
    check();
    if (failure) co_return *failure;
    submissions.push_back(std::move(request));
    api::SubmitReply reply;
    reply.run = runs.empty() ? RunId{"r-first"} : runs.begin()->first;
    reply.existed = submissions.size() > 1;
    co_return reply;
}

Async<std::vector<api::RunView>> FakeService::list_runs(int limit) {
    check();
    if (failure) co_return *failure;
    std::vector<api::RunView> list;
    for (const auto& [id, view] : runs)
        if (static_cast<int>(list.size()) < limit) list.push_back(view);
    co_return list;
}

Async<api::RunView> FakeService::wait_run(RunId run, std::uint64_t since, milliseconds wait) {
    check();
    if (!hiccups.empty()) {
        const Error error = hiccups.front();
        hiccups.pop_front();
        co_return error;
    }
    auto view = find(run);
    if (!view || view->version > since || wait.count() == 0) co_return view;
    if (!upcoming.empty()) {
        runs[run] = upcoming.front();
        upcoming.pop_front();
    } else {
        ++waits;
        on_wait();
        co_await wait_for_change(wait);
    }
    co_return find(run);
}

Async<api::LogChunk> FakeService::read_log(api::LogRequest request) {
    check();
    if (failure) co_return *failure;
    log_requests.push_back(request);
    const std::pair<CaseKey, std::string> name{request.key, request.stream};
    if (!logs.contains(name)) co_return fail(ErrorCode::kNotFound, "no such case", request.key.value);
    if (logs[name].size() <= request.offset && !logs_complete) {
        on_log_wait();
        if (logs[name].size() <= request.offset && !logs_complete) co_await wait_for_change(request.wait);
    }
    api::LogChunk chunk;
    chunk.attempt = log_attempt;
    const bool is_asked = request.attempt.value == 0 || request.attempt == log_attempt;
    const std::uint64_t offset = is_asked ? request.offset : 0;
    if (offset < logs[name].size()) chunk.bytes = logs[name].substr(offset);
    chunk.next_offset = offset + chunk.bytes.size();
    chunk.complete = logs_complete;
    co_return chunk;
}

Async<api::RunView> FakeService::cancel(RunId run) {
    check();
    cancelled.push_back(run);
    on_cancel();
    co_return find(run);
}

Async<api::ReportView> FakeService::report(RunId run) {
    check();
    if (const auto found = find(run); !found) co_return found.error();
    if (report_error) co_return *report_error;
    co_return report_view;
}

Async<std::vector<api::ArtifactView>> FakeService::artifacts(RunId run) {
    check();
    if (const auto found = find(run); !found) co_return found.error();
    co_return artifact_list;
}

Async<api::InstanceView> FakeService::add_instance(api::InstanceRequest request) {
    check();
    if (failure) co_return *failure;
    instance_requests.push_back(request);
    api::InstanceView view = full_instance_view();
    view.name = request.name;
    co_return view;
}

Async<api::InstanceView> FakeService::probe_instance(InstanceName name) {
    check();
    for (const api::InstanceView& view : instance_list)
        if (view.name == name && !failure) co_return view;
    co_return failure.value_or(fail(ErrorCode::kNotFound, "no such instance", "instance " + name.value));
}

Async<std::vector<api::InstanceView>> FakeService::list_instances() {
    check();
    if (failure) co_return *failure;
    co_return instance_list;
}

Async<api::VersionView> FakeService::version() {
    check();
    if (failure) co_return *failure;
    co_return version_view;
}

api::RunView full_run_view() {
    api::CaseView one;
    one.key = CaseKey{"decode[S=512,route=a b]"};
    one.kind = "decode_bench";
    one.title = "Decode, \"quoted\" \xC3\xA9\n";
    one.state = "finished";
    one.verdict = language::Verdict::kFail;
    one.reason = "ms 3.2 > 3";
    one.seconds = 1.25;
    one.stdout_bytes = 1ULL << 40U;
    one.stderr_bytes = 7;
    api::CaseView two;
    two.key = CaseKey{"train"};
    two.state = "waiting";
    api::RunView view;
    view.run = RunId{"r-0123456789abc"};
    view.name = "fa2_routing";
    view.subject = "FA2 Routing Verification";
    view.state = language::RunState::kDone;
    view.reason = language::Reason::kCompleted;
    view.message = "1 gate failed";
    view.status = language::Status::kPartialPass;
    view.instance = InstanceName{"a100"};
    view.attempt = Attempt{3};
    view.created_ms = 1'795'442'400'000;
    view.started_ms = view.created_ms + 1'000;
    view.finished_ms = view.created_ms + 90'000;
    view.version = 42;
    view.cases = {one, two};
    view.report_path = "/artifacts/report v1.md";
    return view;
}

api::InstanceView full_instance_view() {
    api::InstanceView view;
    view.name = InstanceName{"a100"};
    view.engine = "ssh";
    view.address = "root@10.0.0.7:2222";
    view.host_key_fingerprint = "SHA256:abc";
    view.state = "ready";
    view.message = "answered in 12 ms";
    view.facts = {{"gpu_count", "1"}, {"gpu.0.name", "NVIDIA A100-SXM4-80GB"}};
    view.probed_ms = 1'795'442'400'123;
    return view;
}

}  // namespace nsa::test
