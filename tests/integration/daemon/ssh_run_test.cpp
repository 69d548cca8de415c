// The same over a real SSH connection: refused keys, dead hosts, cut links, and a killed daemon.
#include <gtest/gtest.h>
#include <signal.h>

#include "nsad_process.hpp"
#include "specs.hpp"
#include "support/loopback_sshd.hpp"

namespace nsa::test {
namespace {

using language::Reason;
using language::RunState;
using language::Status;
using std::chrono::seconds;

api::InstanceRequest request_for(const LoopbackSshd& sshd) {
    const engines::InstanceConfig config = sshd.instance("box");
    api::InstanceRequest request;
    request.name = config.name;
    request.engine = "ssh";
    request.host = config.host;
    request.port = config.port;
    request.user = config.user;
    request.key_file = config.key_file;
    request.host_key = config.host_key;
    return request;
}

std::string two_lines(const std::filesystem::path& dir) {
    return "echo start >> '" + (dir / "starts").string() + "'; echo one; while [ ! -e '" +
           (dir / "flag").string() + "' ]; do sleep 0.02; done; echo two";
}

TEST(SshRun, GoesToTheHostAndComesHome) {
    TempDir dir;
    LoopbackSshd sshd;
    NsadProcess nsad(dir.path());
    const api::InstanceView box = nsad.call(nsad.api().add_instance(request_for(sshd)));
    EXPECT_EQ(box.state, "ready") << box.message;
    const RunId id = nsad.submit(shell_spec("echo $HOME; echo data > d.txt"), "box");
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.status, Status::kPass) << run.message;
    EXPECT_EQ(nsad.whole_log(id, "s"), sshd.home().string() + "\n");
}

TEST(SshRun, ARunThatExecutesWhileTheDaemonIsKilledIsAdoptedAndRecordedOnce) {
    TempDir dir;
    LoopbackSshd sshd;
    RunId id;
    {
        NsadProcess nsad(dir.path());
        nsad.call(nsad.api().add_instance(request_for(sshd)));
        id = nsad.submit(shell_spec(two_lines(dir.path())), "box");
        nsad.wait_state(id, RunState::kRunning);
        ASSERT_TRUE(nsad.end(SIGKILL, seconds(20)));
    }
    NsadProcess nsad(dir.path());
    nsad.wait_state(id, RunState::kRunning);
    write_file(dir / "flag", "");
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.status, Status::kPass) << run.message;
    EXPECT_EQ(run.attempt, Attempt{1});
    EXPECT_EQ(read_file(dir / "starts"), "start\n");
    EXPECT_EQ(nsad.whole_log(id, "s"), "one\ntwo\n");
    EXPECT_EQ(nsad.call(nsad.api().list_runs(10)).size(), 1U);
}

TEST(SshRun, SurvivesACutLinkAndIsLostOnlyWhileTheHostIsAway) {
    TempDir dir;
    LoopbackSshd sshd;
    NsadProcess nsad(dir.path());
    nsad.call(nsad.api().add_instance(request_for(sshd)));
    const RunId id = nsad.submit(shell_spec(two_lines(dir.path())), "box");
    nsad.wait_state(id, RunState::kRunning);
    sshd.stop();
    nsad.wait_state(id, RunState::kLost, seconds(90));
    sshd.start();
    nsad.wait_state(id, RunState::kRunning, seconds(90));
    write_file(dir / "flag", "");
    const api::RunView run = nsad.wait_done(id);
    EXPECT_EQ(run.status, Status::kPass) << run.message;
    EXPECT_EQ(read_file(dir / "starts"), "start\n");
    EXPECT_EQ(nsad.whole_log(id, "s"), "one\ntwo\n");
}

TEST(SshRun, AnotherHostKeyIsRefusedAndTheRunSaysSo) {
    TempDir dir;
    LoopbackSshd sshd;
    NsadProcess nsad(dir.path());
    const api::InstanceRequest request = request_for(sshd);
    sshd.change_host_key();
    EXPECT_EQ(nsad.call(nsad.api().add_instance(request)).state, "refused");
    const api::RunView run = nsad.wait_done(nsad.submit(shell_spec("true"), "box"));
    EXPECT_EQ(run.reason, Reason::kHostKeyRefused);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    EXPECT_NE(run.message.find("HOST KEY HAS CHANGED"), std::string::npos) << run.message;
}

TEST(SshRun, AKeyThatTheHostDoesNotAcceptIsRefusedAndTheRunSaysSo) {
    TempDir dir;
    LoopbackSshd sshd;
    NsadProcess nsad(dir.path());
    api::InstanceRequest request = request_for(sshd);
    request.key_file = sshd.other_key().string();
    EXPECT_EQ(nsad.call(nsad.api().add_instance(request)).state, "refused");
    const api::RunView run = nsad.wait_done(nsad.submit(shell_spec("true"), "box"));
    EXPECT_EQ(run.reason, Reason::kAuthRefused);
    EXPECT_NE(run.message.find("authorized_keys"), std::string::npos) << run.message;
}

TEST(SshRun, ADeadHostEndsTheRunAtItsProvisionLimit) {
    TempDir dir;
    LoopbackSshd sshd;
    NsadProcess nsad(dir.path());
    const api::InstanceRequest request = request_for(sshd);
    sshd.stop();
    EXPECT_EQ(nsad.call(nsad.api().add_instance(request)).state, "unreachable");
    const api::RunView run =
        nsad.wait_done(nsad.submit(shell_spec("true", "timeouts: {provision: 3s}\n"), "box"));
    EXPECT_EQ(run.reason, Reason::kHostUnreachable);
    EXPECT_EQ(run.status, Status::kInfrastructure);
    EXPECT_NE(run.message.find("within 3 s"), std::string::npos) << run.message;
}

}  // namespace
}  // namespace nsa::test
