// The socket file itself, and what a client says when the daemon is not well.
#include <sys/stat.h>

#include <chrono>
#include <fstream>

#include "api/http.hpp"
#include "raw_peer.hpp"
#include "server_fixture.hpp"

namespace nsa::test {
namespace {

using namespace std::chrono_literals;

class Socket : public ServerTest {};

TEST_F(Socket, belongs_to_its_owner_alone) {
    const mode_t before = ::umask(0);
    start();
    ::umask(before);
    struct stat found {};
    ASSERT_EQ(::lstat(options.socket.c_str(), &found), 0);
    EXPECT_TRUE(S_ISSOCK(found.st_mode));
    EXPECT_EQ(found.st_mode & 0777U, 0600U);
}

TEST_F(Socket, in_use_is_a_conflict_and_its_server_is_not_disturbed) {
    start();
    const auto second = api::listen_on(options.socket);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error(),
              fail(ErrorCode::kConflict, "another nsad is serving it", "socket " + options.socket.string()));
    EXPECT_TRUE(run_here(client.version()).has_value());
}

TEST_F(Socket, left_by_a_dead_daemon_is_replaced) {
    const auto dead = api::listen_on(options.socket);
    ASSERT_TRUE(dead.has_value());
    ::close(dead->fd);
    ASSERT_TRUE(std::filesystem::exists(options.socket));
    start();
    EXPECT_TRUE(run_here(client.version()).has_value());
}

TEST_F(Socket, never_replaces_a_file_of_another_kind) {
    std::ofstream(options.socket) << "precious";
    const auto refused = api::listen_on(options.socket);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
    EXPECT_EQ(std::filesystem::file_size(options.socket), 8U);
}

TEST_F(Socket, of_a_successor_survives_the_end_of_its_predecessor) {
    start();
    std::filesystem::remove(options.socket);
    const auto successor = api::listen_on(options.socket);
    ASSERT_TRUE(successor.has_value());
    stop();
    EXPECT_TRUE(std::filesystem::exists(options.socket));
    ::close(successor->fd);
}

TEST_F(Socket, path_that_does_not_fit_is_refused_with_the_way_out) {
    const auto refused = api::listen_on(folder / std::string(200, 'x'));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
    EXPECT_EQ(refused.error().text,
              "a socket path has 1 to 107 bytes; choose a shorter --socket or NSA_STATE_DIR");
}

TEST(Peers, are_taken_when_they_are_us_or_root) {
    EXPECT_TRUE(api::may_connect(::geteuid()));
    EXPECT_TRUE(api::may_connect(0));
    EXPECT_FALSE(api::may_connect(::geteuid() + 1));
}

TEST(Client, says_how_to_start_a_daemon_when_there_is_none) {
    const TempDir folder;
    const std::filesystem::path socket = folder / "nsad.sock";
    const Error expected =
        fail(ErrorCode::kUnreachable,
             "no nsad at " + socket.string() + "; start it with `nsad` or use `nsactl run SPEC`");
    api::Client client(socket);
    EXPECT_EQ(run_here(client.version()).error(), expected);
    const auto dead = api::listen_on(socket);
    ASSERT_TRUE(dead.has_value());
    ::close(dead->fd);
    EXPECT_EQ(run_here(client.version()).error(), expected);
}

TEST(Client, gives_up_at_its_deadline) {
    const TempDir folder;
    const auto mute = api::listen_on(folder / "s");
    ASSERT_TRUE(mute.has_value());
    api::ClientDeadlines deadlines;
    deadlines.answer = 50ms;
    api::Client client(folder / "s", deadlines);
    const auto version = run_here(client.version());
    EXPECT_EQ(version.error().code, ErrorCode::kTimeout);
    EXPECT_EQ(version.error().text, "nsad did not answer within 50 ms; see its nsad.log");
    ::close(mute->fd);
}

// Answers each connection in turn with the given bytes after a request has come, then closes it.
void serve(int fd, std::vector<std::string> answers) {
    for (const std::string& answer : answers) {
        pollfd ready{fd, POLLIN, 0};
        ::poll(&ready, 1, 10'000);
        const int peer = ::accept(fd, nullptr, nullptr);
        char request[4096];
        EXPECT_GT(::recv(peer, request, sizeof request, 0), 0);
        EXPECT_EQ(::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(answer.size()));
        ::close(peer);
    }
}

class OddServer : public ::testing::Test {
  protected:
    OddServer() : listening(api::listen_on(folder / "s").value()), client(folder / "s") {}
    ~OddServer() override {
        if (thread.joinable()) thread.join();
        ::close(listening.fd);
    }
    void answer(std::vector<std::string> answers) { thread = std::thread(serve, listening.fd, answers); }

    TempDir folder;
    api::Listening listening;
    api::Client client;
    std::thread thread;
};

TEST_F(OddServer, that_dies_before_its_answer_is_unreachable) {
    answer({""});
    const auto version = run_here(client.version());
    EXPECT_EQ(version.error().code, ErrorCode::kUnreachable);
    EXPECT_EQ(version.error().text, "nsad closed the connection before it answered; see its nsad.log");
}

TEST_F(OddServer, that_speaks_no_http_is_a_protocol_error) {
    answer({"220 smtp.example.org ESMTP\r\n\r\n"});
    EXPECT_EQ(run_here(client.version()).error().code, ErrorCode::kProtocol);
}

TEST_F(OddServer, that_answers_other_json_is_a_protocol_error_that_names_the_field) {
    answer({"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"version\":1}"});
    const auto version = run_here(client.version());
    EXPECT_EQ(version.error().code, ErrorCode::kProtocol);
    EXPECT_EQ(version.error().where, "JSON.version");
}

TEST_F(OddServer, that_loses_the_answer_of_a_submission_is_asked_once_more_when_that_is_safe) {
    const std::string created =
        "HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n{\"run\":\"r-1\",\"existed\":true}";
    answer({"", created});
    api::SubmitRequest request;
    request.spec_yaml = "a: 1";
    request.idempotency_key = "k";
    const auto reply = run_here(client.submit(request));
    ASSERT_TRUE(reply.has_value()) << reply.error().describe();
    EXPECT_EQ(reply->run, RunId{"r-1"});
}

TEST_F(OddServer, that_loses_the_answer_of_a_submission_without_key_is_not_asked_again) {
    answer({""});
    api::SubmitRequest request;
    request.spec_yaml = "a: 1";
    EXPECT_EQ(run_here(client.submit(request)).error().code, ErrorCode::kUnreachable);
}

}  // namespace
}  // namespace nsa::test
