// A run directory on a file system that is full: the step is stopped and labelled, the records are whole.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "language/hash.hpp"
#include "small_disk.hpp"

namespace nsa::test {
namespace {

using language::RunEnd;

const protocol::RunKey kRun = run_key("r-disk");

// What every run on a full disk leaves, whatever filled it.
void expect_whole_records(const Followed& followed, const std::filesystem::path& home) {
    const auto run_dir = home / "runs/r-disk.1";
    const auto finished = followed.all<language::RunFinished>().at(0);
    EXPECT_EQ(finished.end, RunEnd::kDiskFull);
    EXPECT_NE(finished.detail.find("ENOSPC"), std::string::npos) << finished.detail;
    EXPECT_EQ(finished.manifest, sha256_of(read_text(run_dir / "manifest.json")));
    EXPECT_EQ(followed.journal, read_text(run_dir / "journal.jsonl"));
    const auto exit = boost::json::parse(read_text(run_dir / "exit.json")).as_object();
    EXPECT_EQ(exit.at("end").as_string(), "disk_full");
    EXPECT_EQ(exit.at("last_seq").to_number<std::uint64_t>(), followed.end.last_seq);
    EXPECT_EQ(followed.end.state, protocol::RemoteState::kFinished);
}

TEST(FullDisk, IsLabelledAndTheExitRecordIsStillWritten) {
    const SmallDisk disk{"size=16m"};
    if (!disk.refused().empty()) GTEST_SKIP() << "needs the right to mount a tmpfs: " << disk.refused();
    WorkerProcess worker{disk.path()};
    const auto followed = run_plan(
        worker, kRun,
        plan_of({shell_case("fills", "cat /dev/zero > big; sleep 60"), shell_case("never", "true")}));
    const auto fills = followed.finished("fills");
    EXPECT_NE(fills.end.detail.find("ENOSPC"), std::string::npos) << fills.end.detail;
    EXPECT_EQ(followed.all<language::CaseStarted>().size(), 1U);
    expect_whole_records(followed, disk.path());
}

TEST(FullDisk, ThatTheLogsFilledIsLabelledTheSame) {
    const SmallDisk disk{"size=16m"};
    if (!disk.refused().empty()) GTEST_SKIP() << "needs the right to mount a tmpfs: " << disk.refused();
    WorkerProcess worker{disk.path()};
    const auto followed = run_plan(worker, kRun, plan_of({shell_case("talks", "cat /dev/zero; sleep 60")}));
    EXPECT_NE(followed.finished("talks").end.detail.find("ENOSPC"), std::string::npos);
    EXPECT_EQ(followed.logs.at("steps/talks/stdout").size(), followed.finished("talks").stdout_bytes);
    expect_whole_records(followed, disk.path());
}

TEST(FullDisk, WithoutAnInodeLeftIsLabelledAndTheExitRecordIsStillWritten) {
    const SmallDisk disk{"nr_inodes=64"};
    if (!disk.refused().empty()) GTEST_SKIP() << "needs the right to mount a tmpfs: " << disk.refused();
    WorkerProcess worker{disk.path()};
    const auto followed = run_plan(
        worker, kRun,
        plan_of({shell_case("fills", "i=0; while : > f$i; do i=$((i+1)); done 2>/dev/null; sleep 60"),
                 shell_case("never", "true")}));
    const auto fills = followed.finished("fills");
    EXPECT_NE(fills.end.detail.find("ENOSPC"), std::string::npos) << fills.end.detail;
    EXPECT_EQ(followed.all<language::CaseStarted>().size(), 1U);
    expect_whole_records(followed, disk.path());
}

TEST(FullDisk, BeforeTheLaunchIsRefusedByName) {
    const SmallDisk disk{"size=64k"};
    if (!disk.refused().empty()) GTEST_SKIP() << "needs the right to mount a tmpfs: " << disk.refused();
    WorkerProcess worker{disk.path()};
    auto launch = launch_of(kRun, plan_of({shell_case("case", "true")}));
    launch.spec_yaml = std::string(200'000, '#');
    const Error refused = worker.refused(protocol::FrameType::kLaunch, encode(launch));
    EXPECT_EQ(refused.code, ErrorCode::kNoSpace) << refused.describe();
}

}  // namespace
}  // namespace nsa::test
