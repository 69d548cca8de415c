// Every endpoint through a real socket: what goes in on one side comes out on the other.
#include <chrono>

#include "raw_peer.hpp"
#include "server_fixture.hpp"

namespace nsa::test {
namespace {

using namespace std::chrono_literals;
using language::Reason;
using language::RunState;

class Endpoints : public ServerTest {};

TEST_F(Endpoints, submission_arrives_as_it_was_sent_and_answers_the_run) {
    start();
    api::SubmitRequest request;
    request.spec_yaml = "name: \"x\"\n# \xC3\xA9 \t\"\\\n";
    request.file = "experiments/x.yaml";
    request.instance = "a100";
    request.idempotency_key = "k-1";
    request.working_tree = language::WorkingTree{"c0ffee", 2, "7ee5"};
    const auto first = run_here(client.submit(request));
    ASSERT_TRUE(first.has_value()) << first.error().describe();
    EXPECT_EQ(first->run, RunId{"r-first"});
    EXPECT_FALSE(first->existed);
    ASSERT_EQ(service.submissions.size(), 1U);
    EXPECT_EQ(service.submissions[0], request);
    EXPECT_TRUE(run_here(client.submit(request))->existed);
}

TEST_F(Endpoints, a_spec_that_is_not_text_is_refused_before_it_is_sent) {
    start();
    api::SubmitRequest request;
    request.spec_yaml = "name: \xFF\n";
    request.file = "x.yaml";
    const auto reply = run_here(client.submit(request));
    ASSERT_FALSE(reply.has_value());
    EXPECT_EQ(reply.error(), fail(ErrorCode::kInvalidSpec, "byte 7 is not UTF-8", "x.yaml"));
    EXPECT_TRUE(service.submissions.empty());
}

TEST_F(Endpoints, a_run_comes_over_with_every_field) {
    const api::RunView view = full_run_view();
    service.runs[view.run] = view;
    start();
    EXPECT_EQ(run_here(client.wait_run(view.run, 0, 0ms)).value(), view);
    EXPECT_EQ(run_here(client.list_runs(5)).value(), std::vector<api::RunView>{view});
    EXPECT_EQ(run_here(client.cancel(view.run)).value(), view);
    EXPECT_EQ(service.cancelled, std::vector<RunId>{view.run});
}

TEST_F(Endpoints, a_list_holds_no_more_than_asked) {
    for (int i = 0; i < 5; ++i) {
        api::RunView view = full_run_view();
        view.run.value += std::to_string(i);
        service.runs[view.run] = view;
    }
    start();
    EXPECT_EQ(run_here(client.list_runs(3))->size(), 3U);
    const auto none = run_here(client.list_runs(0));
    EXPECT_EQ(none.error().code, ErrorCode::kUsage);
}

TEST_F(Endpoints, reports_artifacts_and_the_version_come_over_with_every_field) {
    const api::RunView view = full_run_view();
    service.runs[view.run] = view;
    service.report_view.run = view.run;
    service.report_view.version = 4;
    service.report_view.markdown_path = "/a/b v4.md";
    service.report_view.html_path = "/a/b v4.html";
    service.report_view.json_path = "/a/b v4.json";
    service.report_view.status = language::Status::kInfrastructure;
    api::ArtifactView artifact;
    artifact.path = "steps/decode/decode.csv";
    artifact.size = 1234;
    artifact.sha256 = Sha256{std::string(64, 'a')};
    artifact.stored_at = "/artifacts/decode.csv";
    service.artifact_list = {artifact};
    service.version_view.version = "0.1.0";
    service.version_view.commit = "abc";
    service.version_view.state_dir = "/state";
    service.version_view.pid = 77;
    start();
    EXPECT_EQ(run_here(client.report(view.run)).value(), service.report_view);
    EXPECT_EQ(run_here(client.artifacts(view.run)).value(), service.artifact_list);
    EXPECT_EQ(run_here(client.version()).value(), service.version_view);
}

TEST_F(Endpoints, instances_come_over_with_every_field) {
    service.instance_list = {full_instance_view()};
    start();
    api::InstanceRequest request;
    request.name = InstanceName{"a100"};
    request.engine = "ssh";
    request.host = "10.0.0.7";
    request.user = "root";
    request.key_file = "/home/me/key";
    request.port = 2222;
    request.host_key = "ssh-ed25519 AAAA";
    request.nsa_core = "/opt/nsa-core";
    request.worker_home = "/data/nsa";
    request.replace = true;
    EXPECT_EQ(run_here(client.add_instance(request)).value(), full_instance_view());
    EXPECT_EQ(service.instance_requests, std::vector<api::InstanceRequest>{request});
    EXPECT_EQ(run_here(client.list_instances()).value(), service.instance_list);
    EXPECT_EQ(run_here(client.probe_instance(InstanceName{"a100"})).value(), full_instance_view());
    const InstanceName odd{"a/b c"};
    EXPECT_EQ(run_here(client.probe_instance(odd)).error().where, "instance a/b c");
}

TEST_F(Endpoints, text_that_is_not_utf8_arrives_with_a_replacement_character) {
    api::RunView view = full_run_view();
    view.message = "host said \xFE!";
    service.runs[view.run] = view;
    start();
    EXPECT_EQ(run_here(client.wait_run(view.run, 0, 0ms))->message, "host said \xEF\xBF\xBD!");
}

TEST_F(Endpoints, log_bytes_of_any_value_and_megabytes_of_them_arrive_unchanged) {
    std::string bytes;
    for (int i = 0; i < (5 << 20); ++i)
        bytes += static_cast<char>(i * 7 + i / 256);
    const CaseKey key{"decode[S=512,route=a b]"};
    service.logs[{key, "stderr"}] = bytes;
    start();
    api::LogRequest request;
    request.run = RunId{"r-1"};
    request.key = key;
    request.stream = "stderr";
    request.offset = 3;
    const auto chunk = run_here(client.read_log(request));
    ASSERT_TRUE(chunk.has_value()) << chunk.error().describe();
    EXPECT_TRUE(chunk->bytes == bytes.substr(3));
    EXPECT_EQ(chunk->next_offset, bytes.size());
    EXPECT_TRUE(chunk->complete);
}

TEST_F(Endpoints, a_log_chunk_says_whose_attempt_it_is) {
    const CaseKey key{"train"};
    service.logs[{key, "stdout"}] = "again\n";
    service.log_attempt = Attempt{2};
    start();
    api::LogRequest request;
    request.run = RunId{"r-1"};
    request.key = key;
    request.attempt = Attempt{1};
    request.offset = 40;
    const auto chunk = run_here(client.read_log(request));
    ASSERT_TRUE(chunk.has_value()) << chunk.error().describe();
    EXPECT_EQ(service.log_requests.at(0).attempt, Attempt{1});
    EXPECT_EQ(chunk->attempt, Attempt{2});
    EXPECT_EQ(chunk->bytes, "again\n");
}

TEST_F(Endpoints, waiting_for_a_run_ends_with_its_next_version) {
    api::RunView view = full_run_view();
    service.runs[view.run] = view;
    start();
    auto waiting = std::async(std::launch::async, [&] {
        api::Client own(options.socket);
        return run_here(own.wait_run(view.run, view.version, 30s));
    });
    while (on_server([&] { return service.waits; }) == 0)
        std::this_thread::yield();
    view.version++;
    view.message = "changed";
    on_server([&] { service.publish(view); });
    EXPECT_EQ(waiting.get().value(), view);
}

TEST_F(Endpoints, waiting_for_a_run_that_does_not_change_answers_it_as_it_is) {
    const api::RunView view = full_run_view();
    service.runs[view.run] = view;
    start();
    EXPECT_EQ(run_here(client.wait_run(view.run, view.version, 70ms)).value(), view);
    EXPECT_GE(on_server([&] { return service.waits; }), 2) << "a wait is made of slices";
}

TEST_F(Endpoints, waiting_for_a_log_ends_with_its_next_bytes) {
    const CaseKey key{"train"};
    service.logs[{key, "stdout"}] = "one\n";
    service.logs_complete = false;
    start();
    auto waiting = std::async(std::launch::async, [&] {
        api::Client own(options.socket);
        api::LogRequest request;
        request.run = RunId{"r-1"};
        request.key = key;
        request.offset = 4;
        request.wait = 30s;
        return run_here(own.read_log(request));
    });
    while (on_server([&] { return service.log_requests.size(); }) == 0)
        std::this_thread::yield();
    on_server([&] { service.append_log(key, "two\n", false); });
    const auto chunk = waiting.get();
    ASSERT_TRUE(chunk.has_value());
    EXPECT_EQ(chunk->bytes, "two\n");
    EXPECT_EQ(chunk->next_offset, 8U);
    EXPECT_FALSE(chunk->complete);
}

TEST_F(Endpoints, a_server_that_stops_answers_who_waits_and_removes_its_socket) {
    const api::RunView view = full_run_view();
    service.runs[view.run] = view;
    start();
    auto waiting = std::async(std::launch::async, [&] {
        api::Client own(options.socket);
        return run_here(own.wait_run(view.run, view.version, 50s));
    });
    RawPeer idle(options.socket);  // a connection that never asks must not hold the server up
    while (on_server([&] { return service.waits; }) == 0)
        std::this_thread::yield();
    stop();
    EXPECT_EQ(waiting.get().value(), view);
    EXPECT_FALSE(std::filesystem::exists(options.socket));
}

TEST_F(Endpoints, each_error_keeps_its_code_text_and_place) {
    start();
    for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
        const Error error = fail(static_cast<ErrorCode>(i), "text \"x\"", "where " + std::to_string(i));
        on_server([&] { service.failure = error; });
        EXPECT_EQ(run_here(client.version()).error(), error);
        EXPECT_EQ(run_here(client.list_runs(1)).error(), error);
        api::LogRequest request;
        request.run = RunId{"r-1"};
        request.key = CaseKey{"x"};
        EXPECT_EQ(run_here(client.read_log(request)).error(), error);
    }
}

TEST_F(Endpoints, an_exception_of_the_service_is_an_internal_error_and_the_server_lives_on) {
    service.throws = true;
    start();
    const auto broken = run_here(client.version());
    EXPECT_EQ(broken.error(), fail(ErrorCode::kInternal, "the fake broke", "GET /v1/version"));
    on_server([&] { service.throws = false; });
    EXPECT_TRUE(run_here(client.version()).has_value());
}

}  // namespace
}  // namespace nsa::test
