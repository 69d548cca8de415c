#include "api/router.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <exception>

#include "api/json.hpp"
#include "api/target.hpp"

namespace nsa::api {
namespace {

using boost::asio::awaitable;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// What a handler gets: the checked request.
struct Call {
    Service& service;
    Target target;
    std::string body;
    WaitLimits limits;
    std::function<bool()> wanted;
};
using Handler = awaitable<HttpResponse> (*)(Call call);

template <class T>
HttpResponse json_response(const Result<T>& result, int status = 200) {
    if (!result) return error_response(result.error());
    HttpResponse response;
    response.status = status;
    response.body = to_json_text(*result);
    return response;
}

// The caller's mistake, although its JSON was read as a peer's message.
template <class T>
Result<T> read_body(const std::string& body) {
    Result<T> read = from_json_text<T>(body);
    if (!read) return fail(ErrorCode::kUsage, read.error().text, "request body, " + read.error().where);
    return read;
}

Result<RunId> run_of(const Target& target) {
    RunId run{target.path.at(2)};
    if (!is_valid_run_id(run)) return fail(ErrorCode::kNotFound, "not a run id", "run " + run.value);
    return run;
}

Result<milliseconds> wait_of(const Call& call) {
    const auto asked = query_number(call.target, "wait_ms", 0);
    if (!asked) return asked.error();
    const auto longest = static_cast<std::uint64_t>(call.limits.longest.count());
    return milliseconds{static_cast<std::int64_t>(std::min(*asked, longest))};
}

awaitable<HttpResponse> submit(Call call) {
    const auto request = read_body<SubmitRequest>(call.body);
    if (!request) co_return error_response(request.error());
    const auto reply = co_await call.service.submit(*request);
    co_return json_response(reply, reply && !reply->existed ? 201 : 200);
}

awaitable<HttpResponse> list_runs(Call call) {
    constexpr std::uint64_t kDefault = 50, kMost = 10'000;
    const auto limit = query_number(call.target, "limit", kDefault);
    if (!limit) co_return error_response(limit.error());
    if (*limit == 0 || *limit > kMost)
        co_return error_response(fail(ErrorCode::kUsage, "must be 1 to 10000", "query parameter limit"));
    co_return json_response(co_await call.service.list_runs(static_cast<int>(*limit)));
}

awaitable<HttpResponse> wait_run(Call call) {
    const auto run = run_of(call.target);
    const auto since = query_number(call.target, "since", 0);
    const auto wait = wait_of(call);
    if (!run) co_return error_response(run.error());
    if (!since) co_return error_response(since.error());
    if (!wait) co_return error_response(wait.error());
    const Clock::time_point end = Clock::now() + *wait;
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
        const milliseconds slice = std::clamp(left, milliseconds{0}, call.limits.slice);
        const auto view = co_await call.service.wait_run(*run, *since, slice);
        if (!view || view->version > *since || Clock::now() >= end || !call.wanted())
            co_return json_response(view);
    }
}

awaitable<HttpResponse> read_log(Call call) {
    const auto run = run_of(call.target);
    const auto attempt = query_number(call.target, "attempt", 0);
    const auto offset = query_number(call.target, "offset", 0);
    const auto wait = wait_of(call);
    if (!run) co_return error_response(run.error());
    if (!attempt) co_return error_response(attempt.error());
    if (!offset) co_return error_response(offset.error());
    if (!wait) co_return error_response(wait.error());
    LogRequest request;
    request.run = *run;
    request.key = CaseKey{call.target.query["case"]};
    request.attempt.value = static_cast<int>(std::min<std::uint64_t>(*attempt, INT_MAX));
    request.offset = *offset;
    if (const auto stream = call.target.query.find("stream"); stream != call.target.query.end())
        request.stream = stream->second;
    if (request.key.empty())
        co_return error_response(fail(ErrorCode::kUsage, "it is missing", "query parameter case"));
    if (request.stream != "stdout" && request.stream != "stderr")
        co_return error_response(
            fail(ErrorCode::kUsage, "must be stdout or stderr", "query parameter stream"));
    const Clock::time_point end = Clock::now() + *wait;
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
        request.wait = std::clamp(left, milliseconds{0}, call.limits.slice);
        auto chunk = co_await call.service.read_log(request);
        if (!chunk) co_return error_response(chunk.error());
        if (chunk->bytes.empty() && !chunk->complete && Clock::now() < end && call.wanted()) continue;
        HttpResponse response;
        response.content_type = kBytesType;
        response.body = std::move(chunk->bytes);
        response.attempt = std::to_string(chunk->attempt.value);
        response.next_offset = std::to_string(chunk->next_offset);
        response.complete = chunk->complete ? "1" : "0";
        co_return response;
    }
}

awaitable<HttpResponse> cancel(Call call) {
    const auto run = run_of(call.target);
    if (!run) co_return error_response(run.error());
    co_return json_response(co_await call.service.cancel(*run));
}

awaitable<HttpResponse> report(Call call) {
    const auto run = run_of(call.target);
    if (!run) co_return error_response(run.error());
    co_return json_response(co_await call.service.report(*run));
}

awaitable<HttpResponse> artifacts(Call call) {
    const auto run = run_of(call.target);
    if (!run) co_return error_response(run.error());
    co_return json_response(co_await call.service.artifacts(*run));
}

awaitable<HttpResponse> add_instance(Call call) {
    const auto request = read_body<InstanceRequest>(call.body);
    if (!request) co_return error_response(request.error());
    co_return json_response(co_await call.service.add_instance(*request), 201);
}

awaitable<HttpResponse> list_instances(Call call) {
    co_return json_response(co_await call.service.list_instances());
}

awaitable<HttpResponse> probe_instance(Call call) {
    const InstanceName name{call.target.path.at(2)};
    co_return json_response(co_await call.service.probe_instance(name));
}

awaitable<HttpResponse> version(Call call) {
    co_return json_response(co_await call.service.version());
}

struct Route {
    std::string_view method, path;  // "*" stands for any one segment
    Handler handler;
};

constexpr std::array kRoutes{
    Route{"POST", "/v1/runs", submit},
    Route{"GET", "/v1/runs", list_runs},
    Route{"GET", "/v1/runs/*", wait_run},
    Route{"GET", "/v1/runs/*/log", read_log},
    Route{"POST", "/v1/runs/*/cancel", cancel},
    Route{"POST", "/v1/runs/*/report", report},
    Route{"GET", "/v1/runs/*/artifacts", artifacts},
    Route{"POST", "/v1/instances", add_instance},
    Route{"GET", "/v1/instances", list_instances},
    Route{"POST", "/v1/instances/*/probe", probe_instance},
    Route{"GET", "/v1/version", version},
};

bool matches(std::string_view pattern, const std::vector<std::string>& path) {
    for (const std::string& segment : path) {
        if (pattern.empty()) return false;
        pattern.remove_prefix(1);  // '/'
        const std::string_view wanted = pattern.substr(0, pattern.find('/'));
        if (wanted != "*" && wanted != segment) return false;
        pattern.remove_prefix(wanted.size());
    }
    return pattern.empty();
}

bool is_json(std::string_view content_type) {
    constexpr std::string_view kJson = kJsonType;
    return content_type.starts_with(kJson) &&
           (content_type.size() == kJson.size() || content_type[kJson.size()] == ';');
}

struct Choice {
    Handler handler = nullptr;
    HttpResponse refusal;  // when there is no handler
};

Choice choose(const HttpRequest& request, const Target& target) {
    std::string allowed;
    for (const Route& route : kRoutes) {
        if (!matches(route.path, target.path)) continue;
        if (route.method == request.method) return {route.handler, {}};
        allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
    }
    const std::string where = request.method + " " + request.target.substr(0, 200);
    if (allowed.empty())
        return {nullptr, error_response(fail(ErrorCode::kNotFound, "no such route; see docs/api.md", where))};
    Choice choice{nullptr, error_response(fail(ErrorCode::kUsage, "this route takes " + allowed, where))};
    choice.refusal.status = 405;
    choice.refusal.allow = allowed;
    return choice;
}

}  // namespace

int http_status_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::kInvalidSpec:
            return 422;
        case ErrorCode::kUsage:
            return 400;
        case ErrorCode::kNotFound:
            return 404;
        case ErrorCode::kConflict:
            return 409;
        case ErrorCode::kHostKeyRefused:
        case ErrorCode::kAuthRefused:
        case ErrorCode::kRefused:
            return 403;
        case ErrorCode::kUnreachable:
            return 502;
        case ErrorCode::kTimeout:
            return 504;
        case ErrorCode::kProtocol:
            return 502;
        case ErrorCode::kNoSpace:
            return 507;
        case ErrorCode::kCorrupt:
            return 500;
        case ErrorCode::kInternal:
            return 500;
    }
    return 500;
}

HttpResponse error_response(const Error& error) {
    HttpResponse response;
    response.status = http_status_of(error.code);
    response.body = to_json_text(error);
    return response;
}

awaitable<HttpResponse> Router::handle(HttpRequest request, std::function<bool()> wanted) {
    auto target = parse_target(request.target);
    if (!target) co_return error_response(target.error());
    const Choice choice = choose(request, *target);
    if (choice.handler == nullptr) co_return choice.refusal;
    if (!request.body.empty() && !is_json(request.content_type)) {
        HttpResponse refusal = error_response(
            fail(ErrorCode::kUsage, "a body must have Content-Type: application/json", request.target));
        refusal.status = 415;
        co_return refusal;
    }
    std::string thrown;
    try {
        Call call{service_, std::move(*target), std::move(request.body), limits_, std::move(wanted)};
        co_return co_await choice.handler(std::move(call));
    } catch (const std::exception& exception) {
        thrown = exception.what();
    }
    co_return error_response(fail(ErrorCode::kInternal, thrown, request.method + " " + request.target));
}

}  // namespace nsa::api
