// What the API tells of runs, by a daemon in this process that reaches no host.
#include "api/service.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "daemon/attempt_files.hpp"
#include "daemon/daemon.hpp"
#include "language/plan.hpp"
#include "store/store.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace nsa::daemon {
namespace {

TEST(ReadLog, OfARunThatWasTriedAgainBeginsAnewForWhoeverReadTheAttemptBefore) {
    test::TempDir dir;
    const RunId run{"r-1"};
    const CaseKey key{"s"};
    {
        std::filesystem::create_directories(dir / "state");
        auto store = store::Store::open(dir / "state/nsa.db").value();
        language::Plan plan;
        plan.cases.resize(1);
        plan.cases[0].key = key;
        ASSERT_TRUE(store.submit(store::new_run(run, plan, "", "x.yaml", 1)));
        ASSERT_TRUE(store.begin_attempt(run, Attempt{1}, {"gone"}, 2));
        ASSERT_TRUE(store.begin_attempt(run, Attempt{2}, {"gone"}, 3));
    }
    for (const auto& [attempt, text] : {std::pair{1, "a long first attempt"}, std::pair{2, "second"}}) {
        WriteBack write_back(dir.path());
        AttemptFiles files(write_back, attempt_dir(dir / "artifacts", run, Attempt{attempt}));
        ASSERT_TRUE(files.write_at("steps/s/stdout", 0, text));
    }
    boost::asio::io_context io;
    Config config;
    config.state_dir = dir / "state";
    config.artifacts_dir = dir / "artifacts";
    config.worker = dir / "no-worker";
    config.reserve_bytes = 0;
    auto daemon = Daemon::open(io, std::move(config));
    ASSERT_TRUE(daemon.has_value()) << daemon.error().describe();
    api::LogRequest request;
    request.run = run;
    request.key = key;
    for (const auto& [asked, offset, bytes] :
         {std::tuple{0, 3, "ond"}, std::tuple{2, 3, "ond"}, std::tuple{1, 20, "second"}}) {
        request.attempt = Attempt{asked};
        request.offset = static_cast<std::uint64_t>(offset);
        const auto chunk = test::run(io, (*daemon)->service().read_log(request));
        ASSERT_TRUE(chunk.has_value()) << chunk.error().describe();
        EXPECT_EQ(chunk->attempt, Attempt{2});
        EXPECT_EQ(chunk->bytes, bytes);
        EXPECT_EQ(chunk->next_offset, 6U);
    }
    EXPECT_TRUE((*daemon)->shut_down(std::chrono::seconds{60}));
}

}  // namespace
}  // namespace nsa::daemon
