// An fsync of the database that fails: nothing is tried again as if nothing had happened, no job is touched,
// and after the file was opened and checked anew everything goes on.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "nsad_process.hpp"
#include "specs.hpp"

namespace nsa::test {
namespace {

using language::Status;
using std::chrono::seconds;

// The nth fsync or fdatasync after the file "armed" appears fails (tests/faults/io_faults.cpp).
NsadOptions failing_disk(const TempDir& dir, int nth, const std::string& error) {
    return {.environment = {"LD_PRELOAD=" NSA_IO_FAULTS_PATH,
                            "NSA_IO_FAULT=sync:" + std::to_string(nth) + ":" + error,
                            "NSA_IO_FAULT_PROGRAM=nsad", "NSA_IO_FAULT_FROM=" + (dir / "armed").string(),
                            "NSA_IO_FAULT_LOG=" + (dir / "fault").string()}};
}

TEST(FailedDisk, CostsNoRunAndNoJobWhereverItHits) {
    const std::vector<std::pair<int, std::string>> faults = {
        {4, "eio"}, {8, "enospc"}, {12, "eio"}, {18, "enospc"}};
    for (const auto& [nth, error] : faults) {
        SCOPED_TRACE("fsync " + std::to_string(nth) + " " + error);
        TempDir dir;
        NsadProcess nsad(dir.path(), failing_disk(dir, nth, error));
        std::ofstream{dir / "armed"} << "a daemon that cannot even start is another test's\n";
        std::vector<RunId> taken;
        for (int i = 0; i < 3; ++i) {
            try {
                const std::string mark = (dir / ("mark" + std::to_string(i))).string();
                taken.push_back(nsad.submit(shell_spec("echo x >> '" + mark + "'")));
            } catch (const std::exception&) {
                break;  // refused: the disk failed under this very submission
            }
        }
        ASSERT_FALSE(taken.empty());
        for (std::size_t i = 0; i < taken.size(); ++i) {
            const api::RunView run = nsad.wait_done_through_restarts(taken[i]);
            EXPECT_EQ(run.status, Status::kPass) << run.message;
            EXPECT_EQ(read_file(dir / ("mark" + std::to_string(i))), "x\n") << "ran once";
        }
        EXPECT_TRUE(std::filesystem::exists(dir / "fault")) << "no fsync failed";
        EXPECT_EQ(nsad.end(SIGTERM, seconds(20)), 0);
    }
}

}  // namespace
}  // namespace nsa::test
