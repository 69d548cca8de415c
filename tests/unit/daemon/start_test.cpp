// What the daemon starts from: flags, the lock, run ids.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>

#include "daemon/clock.hpp"
#include "daemon/link.hpp"
#include "daemon/options.hpp"
#include "daemon/prepare_process.hpp"
#include "daemon/run_ids.hpp"
#include "daemon/state_lock.hpp"
#include "support/temp_dir.hpp"

namespace nsa::daemon {
namespace {

struct OptionsTest : ::testing::Test {
    Result<Options> read(std::vector<const char*> arguments) {
        arguments.insert(arguments.begin(), "nsad");
        Surroundings around;
        around.getenv = [this](const char* name) { return variables.contains(name) ? variables[name] : ""; };
        around.working_directory = "/here";
        around.program = dir / "bin/nsad";
        around.artifacts_here = artifacts_here;
        return read_options(static_cast<int>(arguments.size()), arguments.data(), around);
    }
    OptionsTest() { test::write_file(dir / "bin/nsa-worker", "x"); }

    test::TempDir dir;
    std::map<std::string, std::string> variables = {{"HOME", "/home/u"}};
    bool artifacts_here = false;
};

TEST_F(OptionsTest, WithoutAFlagTheStateIsInTheUsersStateFolder) {
    const Result<Options> options = read({});
    ASSERT_TRUE(options);
    EXPECT_EQ(options->config.state_dir, "/home/u/.local/state/nsa");
    EXPECT_EQ(*options->config.socket, "/home/u/.local/state/nsa/nsad.sock");
    EXPECT_EQ(options->config.artifacts_dir, "/home/u/.local/state/nsa/artifacts");
    EXPECT_EQ(options->config.worker, dir / "bin/nsa-worker");
    EXPECT_EQ(options->config.nsa_core, "") << "was not built";
}

TEST_F(OptionsTest, EnvironmentThenFlagsComeFirst) {
    variables["XDG_STATE_HOME"] = "/xdg";
    EXPECT_EQ(read({})->config.state_dir, "/xdg/nsa");
    variables["NSA_STATE_DIR"] = "/env";
    variables["NSA_ARTIFACTS_DIR"] = "/env-artifacts";
    EXPECT_EQ(read({})->config.state_dir, "/env");
    EXPECT_EQ(read({})->config.artifacts_dir, "/env-artifacts");
    EXPECT_EQ(read({"--state-dir", "rel"})->config.state_dir, "/here/rel");
    EXPECT_EQ(read({"--artifacts", "/a"})->config.artifacts_dir, "/a");
}

TEST_F(OptionsTest, AnArtifactsFolderHereIsUsed) {
    artifacts_here = true;
    EXPECT_EQ(read({})->config.artifacts_dir, "/here/artifacts");
}

TEST_F(OptionsTest, AnUnknownFlagAMissingWorkerAndAMissingHomeAreErrors) {
    EXPECT_EQ(read({"--stat-dir", "x"}).error().code, ErrorCode::kUsage);
    variables.clear();
    EXPECT_EQ(read({}).error().code, ErrorCode::kUsage);
    variables["HOME"] = "/home/u";
    std::filesystem::remove(dir / "bin/nsa-worker");
    EXPECT_NE(read({}).error().text.find("--worker"), std::string::npos);
    EXPECT_TRUE(read({"--worker", "/w"}));
}

TEST(StateLock, IsHeldOnceAndFreeAgainAfterwards) {
    test::TempDir dir;
    {
        const Result<StateLock> first = StateLock::take(dir / "lock");
        ASSERT_TRUE(first);
        const Result<StateLock> second = StateLock::take(dir / "lock");
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, ErrorCode::kConflict);
        EXPECT_NE(second.error().text.find(std::to_string(::getpid())), std::string::npos);
    }
    EXPECT_TRUE(StateLock::take(dir / "lock"));
}

TEST(MakePrivateDir, IsForThisUserAloneAndMayExist) {
    test::TempDir dir;
    ASSERT_TRUE(make_private_dir(dir / "a/b/state"));
    ASSERT_TRUE(make_private_dir(dir / "a/b/state"));
    EXPECT_EQ(std::filesystem::status(dir / "a/b/state").permissions(), std::filesystem::perms::owner_all);
}

TEST(PrepareProcess, KeepsAClosedPipeFromKillingItAndFilesAndMemoryPrivate) {
    const auto look = [] {
        prepare_process();
        int pipe[2] = {-1, -1};
        if (::pipe(pipe) != 0) std::_Exit(1);
        ::close(pipe[0]);
        if (::write(pipe[1], "x", 1) != -1 || errno != EPIPE) std::_Exit(2);
        if (::umask(0) != 0077) std::_Exit(3);
        if (::prctl(PR_GET_DUMPABLE) != 0) std::_Exit(4);
        std::_Exit(0);
    };
    EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

TEST(RunIds, AreValidAndSortedByTime) {
    const RunId early = make_run_id(1'795'000'000'000, 0xffffffff);
    const RunId late = make_run_id(1'795'000'000'001, 0);
    EXPECT_TRUE(is_valid_run_id(early));
    EXPECT_EQ(early.value.size(), 15U);
    EXPECT_LT(early, late);
    EXPECT_NE(make_run_id(1, 1), make_run_id(1, 2));
}

TEST(ReasonOf, AFailedConnectIsClassifiedForTheRunThatWaits) {
    using language::Reason;
    EXPECT_EQ(reason_of(fail(ErrorCode::kHostKeyRefused, "no key is pinned")), Reason::kHostKeyRefused);
    EXPECT_EQ(reason_of(fail(ErrorCode::kAuthRefused, "not the host key's doing")), Reason::kAuthRefused);
    EXPECT_EQ(reason_of(fail(ErrorCode::kRefused, "the host starts no command")), Reason::kDeployFailed);
    EXPECT_EQ(reason_of(fail(ErrorCode::kTimeout, "")), Reason::kHostUnreachable);
    EXPECT_EQ(reason_of(fail(ErrorCode::kNoSpace, "")), Reason::kHostDiskFull);
    EXPECT_EQ(reason_of(fail(ErrorCode::kProtocol, "")), Reason::kDeployFailed);
}

}  // namespace
}  // namespace nsa::daemon
