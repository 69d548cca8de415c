// The list of runs that a daemon asks for at every connect.
#include "serve/control.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "language/event.hpp"
#include "posix/identity.hpp"
#include "support/temp_dir.hpp"

namespace nsa::serve {
namespace {

using protocol::RemoteState;

struct ListRuns : testing::Test {
    // A run directory whose supervisor is this process, or one that is gone.
    void make_run(const std::string& id, bool alive, bool finished) {
        const auto self = posix::identity_of(::getpid()).value();
        const language::RunStarted started{self.pid, self.start_ticks + (alive ? 0 : 1), self.boot_id,
                                           posix::host_name(), "test"};
        std::string journal = language::to_line({1, 0, started});
        if (finished) journal += language::to_line({2, 0, language::RunFinished{}});
        test::write_file(dir / ("runs/" + id + ".1/journal.jsonl"), journal);
    }
    test::TempDir dir;
    Home home = Home::open(dir.path().string()).value();
};

TEST_F(ListRuns, HasWhatRunsFirstAndNothingThatIsFinished) {
    make_run("r-a", false, false);
    make_run("r-b", true, true);
    make_run("r-c", true, false);
    make_run("r-d", false, false);
    std::vector<std::pair<std::string, RemoteState>> listed;
    for (const protocol::RunListing& one : list_runs(home))
        listed.emplace_back(one.run.run.value, one.state);
    const std::vector<std::pair<std::string, RemoteState>> expected = {{"r-c", RemoteState::kRunning},
                                                                       {"r-a", RemoteState::kSupervisorDead},
                                                                       {"r-d", RemoteState::kSupervisorDead}};
    EXPECT_EQ(listed, expected);
}

}  // namespace
}  // namespace nsa::serve
