// Ten thousand queued runs: taken over at the start, and in nobody's way afterwards.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/json/serialize.hpp>

#include "instances/config.hpp"
#include "language/yaml/reader.hpp"
#include "nsad_process.hpp"
#include "specs.hpp"
#include "store/store.hpp"

namespace nsa::test {
namespace {

using std::chrono::seconds;

constexpr int kRuns = 10'000;
constexpr const char* kBusy = "box";  // an instance nobody answers on

void must(const Result<void>& result) {
    if (!result) throw std::runtime_error(result.error().describe());
}

// What a daemon that had accepted them would have left.
void fill_store(const std::filesystem::path& file) {
    Result<store::Store> store = store::Store::open(file);
    if (!store) throw std::runtime_error(store.error().describe());
    engines::InstanceConfig box;
    box.name = {kBusy};
    box.host = "127.0.0.1";
    box.port = 1;
    box.user = "nobody";
    box.key_file = "/nonexistent";
    box.host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    store::InstanceRow instance;
    instance.name = box.name;
    instance.engine = "ssh";
    instance.config_json = instances::to_json_text(box);
    must(store->put_instance(instance));
    const std::string yaml = shell_spec("true");
    const auto spec = language::parse_spec(yaml, "test.yaml");
    const auto plan = language::make_plan(*spec, yaml);
    for (int i = 0; i < kRuns; ++i) {
        store::NewRun run =
            store::new_run(RunId{"r-" + std::to_string(100'000 + i)}, *plan, yaml, "test.yaml", 1);
        run.requested_instance = {kBusy};
        ASSERT_TRUE(store->submit(run));
        store::RunChange change;
        change.message = "waits for instance box to be free";
        ASSERT_TRUE(store->set_run_state(run.run, change));
    }
}

TEST(ManyRuns, TenThousandQueuedRunsAreTakenOverWithinTwoSeconds) {
    // In memory where there is such a folder: filling the store is not what is looked at.
    std::error_code ec;
    if (std::filesystem::is_directory("/dev/shm", ec)) ::setenv("TMPDIR", "/dev/shm", 1);
    TempDir dir;
    std::filesystem::create_directories(dir / "state");
    fill_store(dir / "state" / "nsa.db");
    rusage before{}, after{};
    {
        NsadProcess nsad(dir.path());
        EXPECT_EQ(nsad.wait_done(nsad.submit(shell_spec("true"))).status, language::Status::kPass)
            << "another instance is free";
        EXPECT_EQ(nsad.call(nsad.api().list_runs(kRuns)).size(), static_cast<std::size_t>(kRuns));
        ::getrusage(RUSAGE_CHILDREN, &before);
        ASSERT_TRUE(nsad.end(SIGTERM, seconds(5)));
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
