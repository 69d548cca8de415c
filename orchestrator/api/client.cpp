#include "api/client.hpp"

#include <charconv>

#include "api/exchange.hpp"
#include "api/json.hpp"
#include "api/target.hpp"
#include "language/utf8.hpp"

namespace nsa::api {
namespace {

using std::chrono::milliseconds;

std::string run_target(const RunId& run, std::string_view rest = {}) {
    return "/v1/runs/" + percent_encode(run.value) + std::string(rest);
}

// The daemon's own error, or what stands in for one when the answer holds none.
Error error_of(const HttpResponse& response) {
    if (const std::optional<Error> error = error_from_json_text(response.body)) return *error;
    return fail(ErrorCode::kProtocol,
                "HTTP status " + std::to_string(response.status) +
                    " without an error that can be read: " + response.body.substr(0, 200));
}

template <class Number>
bool read_number(const std::string& text, Number& number) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    return problem == std::errc{} && end == text.data() + text.size();
}

// JSON holds text only; sending other bytes would change the spec and its hash on the way.
Result<void> check_text(const SubmitRequest& request) {
    const std::size_t bad = language::find_invalid_utf8(request.spec_yaml);
    if (bad == std::string::npos) return {};
    return fail(ErrorCode::kInvalidSpec, "byte " + std::to_string(bad + 1) + " is not UTF-8", request.file);
}

}  // namespace

template <class T>
Async<T> Client::call(std::string method, std::string target, std::string body, milliseconds deadline) {
    HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    if (!body.empty()) request.content_type = kJsonType;
    request.body = std::move(body);
    const auto response = co_await exchange(socket_, request, deadline);
    if (!response) co_return response.error();
    if (response->status / 100 != 2) co_return error_of(*response);
    co_return from_json_text<T>(response->body);
}

Async<SubmitReply> Client::submit(SubmitRequest request) {
    if (const auto checked = check_text(request); !checked) co_return checked.error();
    const std::string body = to_json_text(request);
    auto reply = co_await call<SubmitReply>("POST", "/v1/runs", body, deadlines_.answer);
    const bool lost = !reply && (reply.error().code == ErrorCode::kUnreachable ||
                                 reply.error().code == ErrorCode::kTimeout);
    if (lost && !request.idempotency_key.empty())
        reply = co_await call<SubmitReply>("POST", "/v1/runs", body, deadlines_.answer);
    co_return reply;
}

Async<std::vector<RunView>> Client::list_runs(int limit) {
    const std::string target = "/v1/runs?limit=" + std::to_string(limit);
    co_return co_await call<std::vector<RunView>>("GET", target, "", deadlines_.answer);
}

Async<RunView> Client::wait_run(RunId run, std::uint64_t since, milliseconds wait) {
    const std::string target =
        run_target(run, "?since=" + std::to_string(since) + "&wait_ms=" + std::to_string(wait.count()));
    co_return co_await call<RunView>("GET", target, "", deadlines_.answer + wait);
}

Async<LogChunk> Client::read_log(LogRequest request) {
    HttpRequest http;
    http.target = run_target(request.run, "/log?case=" + percent_encode(request.key.value) +
                                              "&stream=" + percent_encode(request.stream) +
                                              "&attempt=" + std::to_string(request.attempt.value) +
                                              "&offset=" + std::to_string(request.offset) +
                                              "&wait_ms=" + std::to_string(request.wait.count()));
    auto response = co_await exchange(socket_, http, deadlines_.answer + request.wait);
    if (!response) co_return response.error();
    if (response->status != 200) co_return error_of(*response);
    LogChunk chunk;
    if (!read_number(response->next_offset, chunk.next_offset))
        co_return fail(ErrorCode::kProtocol, "no number in Nsa-Next-Offset: '" + response->next_offset + "'");
    if (!read_number(response->attempt, chunk.attempt.value))
        co_return fail(ErrorCode::kProtocol, "no number in Nsa-Attempt: '" + response->attempt + "'");
    chunk.bytes = std::move(response->body);
    chunk.complete = response->complete == "1";
    co_return chunk;
}

Async<RunView> Client::cancel(RunId run) {
    const std::string target = run_target(run, "/cancel");
    co_return co_await call<RunView>("POST", target, "", deadlines_.answer);
}

Async<ReportView> Client::report(RunId run) {
    const std::string target = run_target(run, "/report");
    co_return co_await call<ReportView>("POST", target, "", deadlines_.report);
}

Async<std::vector<ArtifactView>> Client::artifacts(RunId run) {
    const std::string target = run_target(run, "/artifacts");
    co_return co_await call<std::vector<ArtifactView>>("GET", target, "", deadlines_.answer);
}

Async<InstanceView> Client::add_instance(InstanceRequest request) {
    const std::string body = to_json_text(request);
    co_return co_await call<InstanceView>("POST", "/v1/instances", body, deadlines_.probe);
}

Async<InstanceView> Client::probe_instance(InstanceName name) {
    const std::string target = "/v1/instances/" + percent_encode(name.value) + "/probe";
    co_return co_await call<InstanceView>("POST", target, "", deadlines_.probe);
}

Async<std::vector<InstanceView>> Client::list_instances() {
    co_return co_await call<std::vector<InstanceView>>("GET", "/v1/instances", "", deadlines_.answer);
}

Async<VersionView> Client::version() {
    co_return co_await call<VersionView>("GET", "/v1/version", "", deadlines_.answer);
}

}  // namespace nsa::api
