// The ssh engine against a real sshd on loopback. The far program is the fake worker: it speaks the protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine_ssh/ssh_engine.hpp"
#include "engines/host_key.hpp"
#include "engines/worker_client.hpp"
#include "support/loopback_sshd.hpp"
#include "support/run.hpp"

namespace nsa {
namespace {

using namespace std::chrono_literals;
using engines::InstanceConfig;
using engines::WorkerClient;
using testing::HasSubstr;
using testing::Not;

std::filesystem::path fake_worker() {
    return NSA_FAKE_WORKER;
}

class SshEngine : public testing::Test {
  protected:
    Result<WorkerClient> connect(const InstanceConfig& config) {
        auto stream = test::run(io_, engine().open(config));
        if (!stream) return stream.error();
        return WorkerClient{io_.get_executor(), std::move(*stream), "instance " + config.name.value};
    }
    engines::Engine& engine() {
        if (!engine_) engine_ = engines::make_ssh_engine(io_.get_executor(), settings_);
        return *engine_;
    }
    Error refusal(const InstanceConfig& config) {
        const auto stream = test::run(io_, engine().open(config));
        EXPECT_FALSE(stream.has_value());
        return stream.has_value() ? Error{} : stream.error();
    }
    std::filesystem::path pushed(const test::LoopbackSshd& sshd) const {
        const std::filesystem::path bin = sshd.home() / ".nsa/bin";
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator{bin})
            files.push_back(entry.path());
        EXPECT_EQ(files.size(), 1U) << "one worker and no temporary file";
        return files.front();
    }

    boost::asio::io_context io_;
    engines::SshSettings settings_{.worker = fake_worker()};
    std::unique_ptr<engines::Engine> engine_;
};

TEST_F(SshEngine, PushesTheWorkerByHashAndTalksToIt) {
    const test::LoopbackSshd sshd;
    Result<WorkerClient> client = connect(sshd.instance());
    ASSERT_TRUE(client) << client.error().describe() << sshd.log();
    const auto hello = test::run(io_, client->hello("test", 20s));
    ASSERT_TRUE(hello) << hello.error().describe();
    EXPECT_EQ(hello->home, (sshd.home() / ".nsa").string());
    EXPECT_TRUE(test::run(io_, client->ping(20s)));
}

TEST_F(SshEngine, TheSecondOpenPushesNothing) {
    const test::LoopbackSshd sshd;
    ASSERT_TRUE(connect(sshd.instance()));
    const auto written = std::filesystem::last_write_time(pushed(sshd));
    Result<WorkerClient> client = connect(sshd.instance());
    ASSERT_TRUE(client) << client.error().describe();
    EXPECT_TRUE(test::run(io_, client->ping(20s)));
    EXPECT_EQ(std::filesystem::last_write_time(pushed(sshd)), written);
}

TEST_F(SshEngine, AHomeOfItsOwnIsUsed) {
    const test::LoopbackSshd sshd;
    InstanceConfig config = sshd.instance();
    config.worker_home = "~/elsewhere/nsa";
    Result<WorkerClient> client = connect(config);
    ASSERT_TRUE(client) << client.error().describe();
    const auto hello = test::run(io_, client->hello("test", 20s));
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->home, (sshd.home() / "elsewhere/nsa").string());
    EXPECT_TRUE(std::filesystem::exists(sshd.home() / "elsewhere/nsa/bin"));
}

TEST_F(SshEngine, RefusesAHostWithoutAPinAndShowsItsFingerprint) {
    const test::LoopbackSshd sshd;
    InstanceConfig config = sshd.instance();
    config.host_key.clear();
    const Error error = refusal(config);
    EXPECT_EQ(error.code, ErrorCode::kHostKeyRefused);
    EXPECT_THAT(error.text, HasSubstr("no host key is pinned"));
    EXPECT_THAT(error.text, HasSubstr(engines::fingerprint(*engines::parse_host_key(sshd.host_key()))));
    EXPECT_THAT(error.text, HasSubstr("nsactl instance add loopback " + sshd.user() + "@127.0.0.1:"));
}

TEST_F(SshEngine, RefusesAChangedHostKeyBeforeAuthenticationAndShowsBothFingerprints) {
    test::LoopbackSshd sshd;
    const InstanceConfig config = sshd.instance();
    sshd.change_host_key();
    const Error error = refusal(config);
    EXPECT_EQ(error.code, ErrorCode::kHostKeyRefused);
    EXPECT_THAT(error.text, HasSubstr(engines::fingerprint(*engines::parse_host_key(config.host_key))));
    EXPECT_THAT(error.text, HasSubstr(engines::fingerprint(*engines::parse_host_key(sshd.host_key()))));
    EXPECT_THAT(sshd.log(), HasSubstr("Connection from 127.0.0.1")) << "it did connect";
    EXPECT_THAT(sshd.log(), Not(HasSubstr("userauth-request"))) << "and showed no key, no user";
}

TEST_F(SshEngine, AChangeToAnotherKeyTypeIsAChange) {
    const test::LoopbackSshd sshd;
    InstanceConfig config = sshd.instance();
    config.host_key =
        "ecdsa-sha2-nistp256 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGgtwf+N5VKExo7JhpX5HYyv6Sx2gXSgS+wFmJ0WZkSSmYt"
        "tmvJhTFQ0T2gw9XS7M0OcHw3FYPVeBKEcuSiB52k=";
    const Error error = refusal(config);
    EXPECT_EQ(error.code, ErrorCode::kHostKeyRefused);
    EXPECT_THAT(error.text, HasSubstr("HAS CHANGED"));
}

TEST_F(SshEngine, AKeyThatTheHostDoesNotKnowIsRefused) {
    const test::LoopbackSshd sshd;
    InstanceConfig config = sshd.instance();
    config.key_file = sshd.other_key().string();
    const Error error = refusal(config);
    EXPECT_EQ(error.code, ErrorCode::kAuthRefused);
    EXPECT_THAT(error.text, HasSubstr("authorized_keys"));
    EXPECT_THAT(error.text, HasSubstr(sshd.other_key().string()));
}

TEST_F(SshEngine, AMissingKeyFileIsNamed) {
    const test::LoopbackSshd sshd;
    InstanceConfig config = sshd.instance();
    config.key_file = (sshd.dir() / "nowhere").string();
    const Error error = refusal(config);
    EXPECT_EQ(error.code, ErrorCode::kAuthRefused);
    EXPECT_THAT(error.text, HasSubstr("cannot be read"));
}

TEST_F(SshEngine, AHostThatOffersNoSafeCipherIsRefused) {
    const test::LoopbackSshd sshd{{"Ciphers aes128-cbc"}};
    const Error error = refusal(sshd.instance());
    EXPECT_EQ(error.code, ErrorCode::kRefused);
    EXPECT_THAT(error.text, HasSubstr("key exchange failed"));
}

TEST_F(SshEngine, AClosedPortIsUnreachable) {
    test::LoopbackSshd sshd;
    const InstanceConfig config = sshd.instance();
    sshd.stop();
    const Error error = refusal(config);
    EXPECT_EQ(error.code, ErrorCode::kUnreachable);
    EXPECT_THAT(error.text, HasSubstr("Connection refused"));
    EXPECT_THAT(error.where, HasSubstr("loopback"));
}

// A listener whose backlog is never accepted: TCP connects, and then nothing is ever said.
TEST_F(SshEngine, AHostThatNeverSpeaksIsATimeout) {
    using boost::asio::ip::tcp;
    tcp::acceptor silent{io_, tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0}};
    InstanceConfig config;
    config.name = InstanceName{"silent"};
    config.host = "127.0.0.1";
    config.user = "root";
    config.port = silent.local_endpoint().port();
    config.key_file = "/nonexistent";
    config.host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    settings_.handshake = 200ms;
    const Error error = refusal(config);
    EXPECT_EQ(error.code, ErrorCode::kTimeout);
    EXPECT_THAT(error.text, HasSubstr("key exchange"));
}

TEST_F(SshEngine, AnUnknownNameIsUnreachable) {
    const test::LoopbackSshd sshd;
    InstanceConfig config = sshd.instance();
    config.host = "no-such-host.invalid";
    const Error error = refusal(config);
    EXPECT_THAT(error.text, testing::AnyOf(HasSubstr("cannot be resolved"), HasSubstr("no answer")));
}

TEST_F(SshEngine, NamesThatCouldBeOptionsNeverReachASocket) {
    const test::LoopbackSshd sshd;
    for (const char* name : {"-oProxyCommand=x", "", "a b", "$(id)", "a'b"}) {
        InstanceConfig config = sshd.instance();
        config.host = name;
        EXPECT_EQ(refusal(config).code, ErrorCode::kUsage) << name;
        config = sshd.instance();
        config.user = name;
        EXPECT_EQ(refusal(config).code, ErrorCode::kUsage) << name;
    }
    InstanceConfig config = sshd.instance();
    config.worker_home = "/tmp/$(id)";
    EXPECT_EQ(refusal(config).code, ErrorCode::kUsage);
}

// Counts what a fetch brings; one byte value throughout.
class Counter : public engines::FetchSink {
  public:
    engines::Async<> on_pieces(std::span<const protocol::FilePiece> pieces) override {
        for (const protocol::FilePiece& piece : pieces) {
            if (piece.offset != bytes) co_return fail(ErrorCode::kProtocol, "a piece is out of order");
            if (piece.bytes.find_first_not_of('x') != std::string_view::npos) {
                co_return fail(ErrorCode::kCorrupt, "a byte has changed");
            }
            bytes += piece.bytes.size();
        }
        co_return Result<void>{};
    }
    std::uint64_t bytes = 0;
};

protocol::Fetch order(const char* what, std::uint64_t bytes) {
    protocol::FetchItem item;
    item.path = what;
    item.offset = bytes;
    protocol::Fetch fetch;
    fetch.run.run = RunId{"r-test"};
    fetch.credit = 1ULL << 40;
    fetch.items.push_back(item);
    return fetch;
}

// sshd renegotiates keys every megabyte: packets of ours then wait, and the pump must not stall.
TEST_F(SshEngine, AStreamSurvivesManyKeyExchanges) {
    const test::LoopbackSshd sshd{{"RekeyLimit 1M"}};
    Result<WorkerClient> client = connect(sshd.instance());
    ASSERT_TRUE(client) << client.error().describe();
    Counter counter;
    const auto end = test::run(io_, client->fetch(order("bytes", 24U << 20), counter, 30s));
    ASSERT_TRUE(end) << end.error().describe();
    EXPECT_EQ(counter.bytes, 24U << 20);
    EXPECT_TRUE(test::run(io_, client->ping(20s)));
}

// stderr shares the channel's window: unread, it would stop stdout after 2 MB.
TEST_F(SshEngine, AFloodOnStderrIsDrainedAndItsEndKept) {
    const test::LoopbackSshd sshd;
    Result<WorkerClient> client = connect(sshd.instance());
    ASSERT_TRUE(client) << client.error().describe();
    Counter counter;
    ASSERT_TRUE(test::run(io_, client->fetch(order("stderr", 8U << 20), counter, 30s)));
    const auto end = test::run(io_, client->fetch(order("die", 0), counter, 30s));
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, ErrorCode::kUnreachable);
    EXPECT_THAT(end.error().text, HasSubstr("exit status 3"));
    EXPECT_THAT(end.error().text, HasSubstr("the fake worker dies as told"));
    EXPECT_LT(end.error().text.size(), 5000U);
}

TEST_F(SshEngine, AConnectionThatIsKilledEndsEveryRequest) {
    test::LoopbackSshd sshd;
    Result<WorkerClient> client = connect(sshd.instance());
    ASSERT_TRUE(client) << client.error().describe();
    ASSERT_TRUE(test::run(io_, client->ping(20s)));
    sshd.kill_sessions();
    const auto ping = test::run(io_, client->ping(30s));
    ASSERT_FALSE(ping);
    EXPECT_EQ(ping.error().code, ErrorCode::kUnreachable);
    EXPECT_FALSE(client->is_open());
}

TEST_F(SshEngine, AHostThatAllowsNoSessionSaysSo) {
    const test::LoopbackSshd sshd{{"MaxSessions 0"}};
    const Error error = refusal(sshd.instance());
    EXPECT_EQ(error.code, ErrorCode::kUnreachable);
    EXPECT_THAT(error.text, HasSubstr("opens no session"));
}

TEST_F(SshEngine, OneSessionPerConnectionIsEnough) {
    const test::LoopbackSshd sshd{{"MaxSessions 1"}};
    Result<WorkerClient> one = connect(sshd.instance());
    Result<WorkerClient> two = connect(sshd.instance());
    ASSERT_TRUE(one && two);
    EXPECT_TRUE(test::run(io_, one->ping(20s)));
    EXPECT_TRUE(test::run(io_, two->ping(20s)));
}

// What a talkative .bashrc does: bytes before the command's own, with and without a newline at their end.
TEST_F(SshEngine, NoiseOfTheShellsStartUpDoesNotReachTheFraming) {
    const test::LoopbackSshd sshd{
        {"ForceCommand echo 'Welcome to nsa-worker: ready'; echo oops >&2; head -c 70000 /dev/zero; printf "
         "'half a line'; eval \"$SSH_ORIGINAL_COMMAND\""}};
    for (int i = 0; i < 2; ++i) {
        Result<WorkerClient> client = connect(sshd.instance());
        ASSERT_TRUE(client) << client.error().describe();
        EXPECT_TRUE(test::run(io_, client->ping(20s)));
    }
}

TEST_F(SshEngine, AShellThatSpeaksWithoutEndIsAnError) {
    const test::LoopbackSshd sshd{{"ForceCommand cat /dev/zero"}};
    const Error error = refusal(sshd.instance());
    EXPECT_EQ(error.code, ErrorCode::kProtocol);
    EXPECT_THAT(error.text, HasSubstr("start-up files"));
}

TEST_F(SshEngine, AnAccountThatRunsNoCommandIsExplainedByItsOwnWords) {
    const test::LoopbackSshd sshd{{"ForceCommand echo 'this account is not available' >&2; exit 1"}};
    const Error error = refusal(sshd.instance());
    EXPECT_EQ(error.code, ErrorCode::kUnreachable);
    EXPECT_THAT(error.text, HasSubstr("this account is not available"));
    EXPECT_THAT(error.text, HasSubstr("exit status 1"));
}

TEST_F(SshEngine, AHungStartIsATimeout) {
    const test::LoopbackSshd sshd{{"ForceCommand cat"}};
    settings_.start = 300ms;
    EXPECT_EQ(refusal(sshd.instance()).code, ErrorCode::kTimeout);
}

TEST_F(SshEngine, AFolderThatCannotBeMadeIsNamed) {
    const test::LoopbackSshd sshd;
    test::write_file(sshd.home() / ".nsa", "a file where a folder belongs");
    const Error error = refusal(sshd.instance());
    EXPECT_EQ(error.code, ErrorCode::kInternal);
    EXPECT_THAT(error.text, HasSubstr((sshd.home() / ".nsa/bin").string()));
    EXPECT_THAT(error.text, testing::AnyOf(HasSubstr("Not a directory"), HasSubstr("File exists")));
}

// The real thing where the test may mount: a home of 64 KiB cannot hold the worker.
TEST_F(SshEngine, AFullDiskIsNoSpaceWithItsPathAndLeavesNothingBehind) {
    const test::LoopbackSshd sshd;
    if (::mount("tmpfs", sshd.home().c_str(), "tmpfs", 0, "size=64k") != 0) {
        GTEST_SKIP() << "needs the right to mount a tmpfs (CAP_SYS_ADMIN): " << std::strerror(errno);
    }
    const Error error = refusal(sshd.instance());
    EXPECT_EQ(error.code, ErrorCode::kNoSpace) << error.describe();
    EXPECT_THAT(error.text, HasSubstr((sshd.home() / ".nsa/bin").string()));
    EXPECT_TRUE(std::filesystem::is_empty(sshd.home() / ".nsa/bin"));
    EXPECT_EQ(::umount2(sshd.home().c_str(), MNT_DETACH), 0);
}

TEST_F(SshEngine, ScanShowsTheKeyWithoutLoggingIn) {
    const test::LoopbackSshd sshd;
    const auto key = test::run(io_, engines::scan_host_key("127.0.0.1", sshd.port(), 20s));
    ASSERT_TRUE(key) << key.error().describe();
    EXPECT_EQ(to_string(*key), sshd.host_key());
    EXPECT_THAT(sshd.log(), Not(HasSubstr("userauth-request")));
}

}  // namespace
}  // namespace nsa
