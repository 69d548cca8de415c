// What a hostile, broken or vanished peer gets, byte by byte; other clients are unaffected.
#include <chrono>
#include <deque>

#include "api/json.hpp"
#include "raw_peer.hpp"
#include "server_fixture.hpp"

namespace nsa::test {
namespace {

using namespace std::chrono_literals;

std::string status_line(const std::string& response) {
    return response.substr(0, response.find("\r\n"));
}

Error error_in(const std::string& response) {
    const std::size_t body = response.find("\r\n\r\n");
    if (body == std::string::npos) return fail(ErrorCode::kInternal, "no body in: " + response);
    return api::error_from_json_text(response.substr(body + 4))
        .value_or(fail(ErrorCode::kInternal, "no error in: " + response));
}

class Abuse : public ServerTest {
  protected:
    std::string ask(const std::string& request) { return RawPeer(options.socket).ask(request); }
    void expect_alive() { EXPECT_TRUE(run_here(client.version()).has_value()); }
};

TEST_F(Abuse, bytes_that_are_not_http_are_a_bad_request) {
    start();
    const std::string response = ask("EHLO example.org\r\n\r\n");
    EXPECT_EQ(status_line(response), "HTTP/1.1 400 Bad Request");
    EXPECT_EQ(error_in(response).where, "HTTP request");
    expect_alive();
}

TEST_F(Abuse, an_unknown_route_is_not_found_and_says_what_was_asked) {
    start();
    const std::string response = ask("GET /v2/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_line(response), "HTTP/1.1 404 Not Found");
    EXPECT_EQ(error_in(response),
              fail(ErrorCode::kNotFound, "no such route; see docs/api.md", "GET /v2/runs"));
}

TEST_F(Abuse, a_wrong_method_names_the_right_ones) {
    start();
    const std::string response = ask("DELETE /v1/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_line(response), "HTTP/1.1 405 Method Not Allowed");
    EXPECT_NE(response.find("Allow: POST, GET\r\n"), std::string::npos) << response;
    EXPECT_EQ(error_in(response).text, "this route takes POST, GET");
}

TEST_F(Abuse, a_body_must_be_json_by_type_syntax_and_field) {
    start();
    const auto post = [&](const std::string& type, const std::string& body) {
        return ask("POST /v1/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " + type +
                   "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    };
    EXPECT_EQ(status_line(post("text/plain", "{}")), "HTTP/1.1 415 Unsupported Media Type");
    EXPECT_EQ(status_line(post("application/json", "{")), "HTTP/1.1 400 Bad Request");
    EXPECT_EQ(error_in(post("application/json", R"({"file":"x"})")),
              fail(ErrorCode::kUsage, "the field is missing", "request body, JSON.spec_yaml"));
    EXPECT_EQ(error_in(post("application/json", R"({"spec_yaml":1})")).code, ErrorCode::kUsage);
    EXPECT_EQ(
        error_in(post("application/json", R"({"spec_yaml":"","idempotencykey":"k"})")).text,
        "unknown field 'idempotencykey'; known are spec_yaml, file, instance, idempotency_key, working_tree");
    EXPECT_TRUE(service.submissions.empty());
}

TEST_F(Abuse, bad_parameters_are_named) {
    start();
    const auto get = [&](const std::string& target) {
        return error_in(ask("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    };
    EXPECT_EQ(get("/v1/runs?limit=many"),
              fail(ErrorCode::kUsage, "'many' is not a whole number", "query parameter limit"));
    EXPECT_EQ(get("/v1/runs/r-1?since=-1").where, "query parameter since");
    EXPECT_EQ(get("/v1/runs/r-1/log?offset=0").where, "query parameter case");
    EXPECT_EQ(get("/v1/runs/r-1/log?case=a&stream=both").where, "query parameter stream");
    EXPECT_EQ(get("/v1/runs/..%2Fetc"), fail(ErrorCode::kNotFound, "not a run id", "run ../etc"));
    EXPECT_EQ(get("/v1/runs/%zz").code, ErrorCode::kUsage);
}

TEST_F(Abuse, a_header_without_end_is_refused_at_its_limit) {
    start();
    const std::string response = ask("GET /v1/version HTTP/1.1\r\nX: " + std::string(20'000, 'x'));
    EXPECT_EQ(status_line(response), "HTTP/1.1 431 Request Header Fields Too Large");
    expect_alive();
}

TEST_F(Abuse, a_body_over_the_limit_is_refused_before_it_is_read) {
    start();
    const std::string response =
        ask("POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 1073741824\r\n\r\n{");
    EXPECT_EQ(status_line(response), "HTTP/1.1 413 Payload Too Large");
    expect_alive();
}

TEST_F(Abuse, the_client_reads_the_refusal_of_a_spec_that_is_too_large) {
    options.body_limit = 1'000;
    start();
    api::SubmitRequest request;
    request.spec_yaml = std::string(4U << 20U, '#');
    const auto reply = run_here(client.submit(request));
    EXPECT_EQ(reply.error(), fail(ErrorCode::kUsage, "the body is too large", "HTTP request"));
}

TEST_F(Abuse, chunks_are_not_taken_and_two_lengths_are_an_attack) {
    start();
    const std::string head = "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    EXPECT_EQ(status_line(ask(head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
              "HTTP/1.1 411 Length Required");
    EXPECT_EQ(status_line(ask(head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
              "HTTP/1.1 400 Bad Request");
    EXPECT_EQ(status_line(ask(head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")),
              "HTTP/1.1 400 Bad Request");
    EXPECT_TRUE(service.submissions.empty());
}

TEST_F(Abuse, a_slow_header_times_out_and_silence_is_closed_without_a_word) {
    options.header_timeout =
        1s;  // a busy machine may send the half of a header, and a whole one, later than at once
    start();
    EXPECT_EQ(status_line(ask("GET /v1/ver")), "HTTP/1.1 408 Request Timeout");
    EXPECT_EQ(ask(""), "");
    expect_alive();
}

TEST_F(Abuse, a_slow_body_times_out) {
    options.body_timeout = 50ms;
    start();
    EXPECT_EQ(status_line(ask("POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")),
              "HTTP/1.1 408 Request Timeout");
}

TEST_F(Abuse, a_peer_that_reads_nothing_is_cut_off) {
    options.write_timeout = 50ms;
    const CaseKey key{"x"};
    service.logs[{key, "stdout"}] = std::string(8U << 20U, 'x');
    start();
    RawPeer peer(options.socket);
    peer.send("GET /v1/runs/r-1/log?case=x HTTP/1.1\r\nHost: x\r\n\r\n");
    while (on_server([&] { return service.log_requests.size(); }) == 0)
        std::this_thread::yield();
    while (on_server([&] { return server->connections(); }) != 0)
        std::this_thread::yield();
    EXPECT_LT(peer.receive().size(), 8U << 20U);
}

TEST_F(Abuse, a_peer_that_goes_away_while_it_waits_frees_its_connection) {
    const api::RunView view = full_run_view();
    service.runs[view.run] = view;
    start();
    RawPeer peer(options.socket);
    peer.send("GET /v1/runs/" + view.run.value + "?since=42&wait_ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n");
    while (on_server([&] { return service.waits; }) == 0)
        std::this_thread::yield();
    peer.close();
    while (on_server([&] { return server->connections(); }) != 0)
        std::this_thread::yield();
    expect_alive();
}

TEST_F(Abuse, a_connection_serves_one_request_after_the_other) {
    service.version_view.version = "0.1.0";
    start();
    RawPeer peer(options.socket);
    const std::string request = "GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n";
    peer.send(request + request);  // even when both are there at once
    const std::string end = "\"pid\":0}";
    std::string all = peer.receive(end);
    if (all.find(end) == all.rfind(end)) all += peer.receive(end);
    EXPECT_NE(all.find(end), all.rfind(end)) << all;
    peer.send("GET /v1/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_line(peer.receive()), "HTTP/1.1 200 OK");
}

TEST_F(Abuse, a_client_that_asks_first_is_told_to_go_on) {
    start();
    RawPeer peer(options.socket);
    peer.send(
        "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        "Expect: 100-continue\r\nContent-Length: 20\r\n\r\n");
    EXPECT_EQ(status_line(peer.receive("\r\n\r\n")), "HTTP/1.1 100 Continue");
    EXPECT_EQ(status_line(peer.ask(R"({"spec_yaml":"a: 1"})")), "HTTP/1.1 201 Created");
}

TEST_F(Abuse, one_connection_too_many_is_turned_away_and_told_so) {
    options.max_connections = 2;
    start();
    RawPeer one(options.socket), two(options.socket);
    while (on_server([&] { return server->connections(); }) != 2)
        std::this_thread::yield();
    RawPeer three(options.socket);
    const std::string response = three.receive();
    EXPECT_EQ(status_line(response), "HTTP/1.1 503 Service Unavailable");
    EXPECT_EQ(error_in(response).text, "too many connections; try again");
    one.close();
    while (on_server([&] { return server->connections(); }) != 1)
        std::this_thread::yield();
    expect_alive();
}

TEST_F(Abuse, another_users_connection_is_turned_away) {
    uid_t seen = static_cast<uid_t>(-1);
    options.allowed = [&seen](uid_t peer) {
        seen = peer;
        return false;
    };
    start();
    EXPECT_EQ(status_line(RawPeer(options.socket).receive()), "HTTP/1.1 403 Forbidden");
    EXPECT_EQ(seen, ::geteuid());
    EXPECT_EQ(run_here(client.version()).error().text, "this nsad serves another user");
}

TEST_F(Abuse, many_clients_at_once_each_get_their_answer) {
    service.version_view.version = "0.1.0";
    start();
    boost::asio::io_context here;
    int right = 0;
    const auto count = [&right](std::exception_ptr, Result<api::VersionView> view) {
        right += view && view->version == "0.1.0" ? 1 : 0;
    };
    for (int i = 0; i < 200; ++i)
        boost::asio::co_spawn(here, client.version(), count);
    here.run();
    EXPECT_EQ(right, 200);
}

}  // namespace
}  // namespace nsa::test
