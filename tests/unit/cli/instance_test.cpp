// Registering hosts: whose key is taken, and what is said when it is not.
#include "cli_fixture.hpp"

namespace nsa::test {
namespace {

using cli::Output;

// A public host key of nobody, and its fingerprint as ssh-keygen prints it.
constexpr char kHostKey[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
constexpr char kFingerprint[] = "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA";

class Instances : public CliTest {
  protected:
    cli::InstanceAddArgs args() {
        cli::InstanceAddArgs add;
        add.name = "a100";
        add.address = "root@10.0.0.7:2222";
        add.key_file = write("key", "private");
        return add;
    }
    int add(const cli::InstanceAddArgs& add) {
        const auto scan = [this](const std::string& host, int port) -> Result<std::string> {
            scanned.push_back(host + " " + std::to_string(port));
            if (scan_error) return *scan_error;
            return std::string(kHostKey);
        };
        return cli::instance_add(control, console(), add, scan, Output::kTable);
    }

    std::vector<std::string> scanned;
    std::optional<Error> scan_error;
};

TEST_F(Instances, with_a_given_host_key_are_registered_without_asking_anybody) {
    auto given = args();
    given.host_key = kHostKey;
    given.nsa_core = "/opt/nsa-core";
    given.worker_home = "/data/nsa";
    given.replace = true;
    EXPECT_EQ(add(given), 0) << err.str();
    EXPECT_TRUE(scanned.empty());
    ASSERT_EQ(service.instance_requests.size(), 1U);
    api::InstanceRequest expected;
    expected.name = InstanceName{"a100"};
    expected.engine = "ssh";
    expected.user = "root";
    expected.host = "10.0.0.7";
    expected.port = 2222;
    expected.key_file = given.key_file;
    expected.host_key = kHostKey;
    expected.nsa_core = "/opt/nsa-core";
    expected.worker_home = "/data/nsa";
    expected.replace = true;
    EXPECT_EQ(service.instance_requests[0], expected);
}

TEST_F(Instances, with_an_accepted_fingerprint_take_the_key_that_the_host_shows_if_it_fits) {
    auto accepted = args();
    accepted.accept_fingerprint = kFingerprint;
    EXPECT_EQ(add(accepted), 0) << err.str();
    EXPECT_EQ(scanned, std::vector<std::string>{"10.0.0.7 2222"});
    ASSERT_EQ(service.instance_requests.size(), 1U);
    EXPECT_EQ(service.instance_requests[0].host_key, kHostKey);
    accepted.accept_fingerprint = "SHA256:other";
    EXPECT_EQ(add(accepted), 4);
    EXPECT_EQ(err.str(), std::string("nsactl: instance a100: the host shows ") + kFingerprint +
                             ", not SHA256:other; nothing was registered\n");
    EXPECT_EQ(service.instance_requests.size(), 1U);
}

TEST_F(Instances, with_an_unknown_key_and_no_terminal_are_refused_with_the_command_to_repeat) {
    auto unattended = args();
    unattended.key_file = write("my key", "private");
    unattended.replace = true;
    EXPECT_EQ(add(unattended), 4);
    EXPECT_EQ(err.str(),
              std::string("nsactl: instance a100: its host key ") + kFingerprint +
                  " is not known, and there is no terminal to ask on. If it is the right one, repeat "
                  "with:\n  nsactl instance add a100 root@10.0.0.7:2222 --key '" +
                  unattended.key_file + "' --accept-fingerprint " + kFingerprint + " --replace\n");
    EXPECT_TRUE(service.instance_requests.empty());
}

TEST_F(Instances, with_an_unknown_key_ask_the_person_at_the_terminal) {
    facts.in_is_tty = facts.err_is_tty = true;
    facts.no_colour = true;
    for (const auto& [answer, registered] : {std::pair{"y\n", true},
                                             {"yes\n", true},
                                             {"n\n", false},
                                             {"\n", false},
                                             {"", false},
                                             {"sure\n", false}}) {
        service.instance_requests.clear();
        err.str("");
        in.clear();
        in.str(answer);
        EXPECT_EQ(add(args()), registered ? 0 : 4) << answer;
        EXPECT_EQ(service.instance_requests.size(), registered ? 1U : 0U) << answer;
        EXPECT_NE(err.str().find(kFingerprint), std::string::npos);
    }
}

TEST_F(Instances, that_cannot_be_asked_for_their_key_are_not_registered) {
    scan_error = fail(ErrorCode::kUnreachable, "connection refused", "10.0.0.7:2222");
    EXPECT_EQ(add(args()), 4);
    EXPECT_EQ(err.str(), "nsactl: 10.0.0.7:2222: connection refused\n");
}

TEST_F(Instances, need_a_key_file_that_is_there_and_a_good_address) {
    auto wrong = args();
    wrong.key_file.clear();
    EXPECT_EQ(add(wrong), 2);
    wrong.key_file = (folder / "nothing").string();
    EXPECT_EQ(add(wrong), 2);
    wrong = args();
    wrong.address = "10.0.0.7";
    EXPECT_EQ(add(wrong), 2);
    EXPECT_EQ(err.str(),
              "nsactl: instance a100: give the private key to log in with: --key FILE\n"
              "nsactl: --key: no such file: " +
                  (folder / "nothing").string() +
                  "\n"
                  "nsactl: address 10.0.0.7: there is no USER@; write it as USER@HOST[:PORT], or "
                  "'local'\n");
    EXPECT_TRUE(scanned.empty());
}

TEST_F(Instances, of_this_machine_need_nothing_and_take_no_keys) {
    cli::InstanceAddArgs local;
    local.name = "here";
    local.address = "local";
    EXPECT_EQ(add(local), 0);
    ASSERT_EQ(service.instance_requests.size(), 1U);
    EXPECT_EQ(service.instance_requests[0].engine, "local");
    local.key_file = "k";
    EXPECT_EQ(add(local), 2);
}

TEST_F(Instances, are_listed_with_what_matters) {
    api::InstanceView bad = full_instance_view();
    bad.name = InstanceName{"h200"};
    bad.state = "unreachable";
    bad.facts.clear();
    bad.probed_ms = 0;
    bad.message = "connection refused";
    service.instance_list = {full_instance_view(), bad};
    EXPECT_EQ(cli::instance_list(control, console(), Output::kTable), 0);
    EXPECT_EQ(
        out.str(),
        "NAME  ENGINE  ADDRESS             STATE        GPU                    PROBED  MESSAGE\n"
        "a100  ssh     root@10.0.0.7:2222  ready        NVIDIA A100-SXM4-80GB  now     answered in 12 ms\n"
        "h200  ssh     root@10.0.0.7:2222  unreachable                         never   connection refused\n");
    EXPECT_EQ(cli::instance_probe(control, console(), {"a100"}, Output::kTable), 0);
    EXPECT_EQ(cli::instance_probe(control, console(), {"h200"}, Output::kTable), 4);
    EXPECT_EQ(cli::instance_probe(control, console(), {"none"}, Output::kTable), 9);
}

TEST_F(Instances, version_waits_for_a_daemon_that_is_asked_to_be_there) {
    service.version_view.version = "0.1.0";
    service.version_view.commit = "abc1234";
    service.version_view.pid = 77;
    service.version_view.state_dir = "/state";
    EXPECT_EQ(cli::version(control, console(), {0}, Output::kTable), 0);
    EXPECT_EQ(out.str(), "nsactl 0.1.0\nnsad   0.1.0 (abc1234), pid 77, state in /state\n");
    service.failure = fail(ErrorCode::kUnreachable, "no nsad");
    EXPECT_EQ(cli::version(control, console(), {0}, Output::kTable), 0);
    tick_ms = 10;
    EXPECT_EQ(cli::version(control, console(), {20}, Output::kTable), 4);
}

}  // namespace
}  // namespace nsa::test
