// Ten thousand queued runs: taken over at the start, and in nobody's way afterwards.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "many_runs.hpp"
#include "nsad_process.hpp"
#include "specs.hpp"

namespace nsa::test {
namespace {

using std::chrono::seconds;

constexpr int kRuns = 10'000;

TEST(ManyRuns, TenThousandQueuedRunsAreTakenOverWithinTwoSeconds) {
    // In memory where there is such a folder: filling the store is not what is looked at.
    std::error_code ec;
    if (std::filesystem::is_directory("/dev/shm", ec)) ::setenv("TMPDIR", "/dev/shm", 1);
    TempDir dir;
    std::filesystem::create_directories(dir / "state");
    fill_store(dir / "state" / "nsa.db", kRuns, shell_spec("true"));
    rusage before{}, after{};
    {
        NsadProcess nsad(dir.path());
        EXPECT_EQ(nsad.wait_done(nsad.submit(shell_spec("true"))).status, language::Status::kPass)
            << "another instance is free";
        EXPECT_EQ(nsad.call(nsad.api().list_runs(kRuns)).size(), static_cast<std::size_t>(kRuns));
        EXPECT_LT(nsad.peak_kib(), 128 << 10) << "KiB of memory at its peak";
        ::getrusage(RUSAGE_CHILDREN, &before);
        ASSERT_TRUE(nsad.end(SIGTERM, seconds(20)));
        ::getrusage(RUSAGE_CHILDREN, &after);
    }
    // Processor time, so that a busy machine fails nothing: the start, one run, one list of all, the end.
    const double used = static_cast<double>(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
                        static_cast<double>(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1e6 +
                        static_cast<double>(after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
                        static_cast<double>(after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    RecordProperty("cpu_seconds", std::to_string(used));
    EXPECT_LT(used, 2.0);
}

}  // namespace
}  // namespace nsa::test
