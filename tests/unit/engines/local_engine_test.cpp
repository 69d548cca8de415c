#include "engines/local_engine.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "engines/child.hpp"
#include "engines/child_end.hpp"
#include "engines/worker_client.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace nsa::engines {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

InstanceConfig local() {
    InstanceConfig config;
    config.name = InstanceName{"local"};
    config.engine = language::EngineKind::kLocal;
    return config;
}

class Ignore : public FetchSink {
  public:
    Async<> on_pieces(std::span<const protocol::FilePiece>) override { co_return Result<void>{}; }
};

TEST(LocalEngine, TalksToItsChildAndGivesItTheHome) {
    boost::asio::io_context io;
    const auto engine = make_local_engine(io.get_executor(), NSA_FAKE_WORKER);
    InstanceConfig config = local();
    config.worker_home = "/tmp/some-home";
    auto stream = test::run(io, engine->open(config));
    ASSERT_TRUE(stream) << stream.error().describe();
    WorkerClient client{io.get_executor(), std::move(*stream), "instance local"};
    const auto hello = test::run(io, client.hello("test", 30s));
    ASSERT_TRUE(hello) << hello.error().describe();
    EXPECT_EQ(hello->home, "/tmp/some-home");
}

TEST(LocalEngine, AChildThatDiesSaysHowAndWhy) {
    boost::asio::io_context io;
    const auto engine = make_local_engine(io.get_executor(), NSA_FAKE_WORKER);
    auto stream = test::run(io, engine->open(local()));
    ASSERT_TRUE(stream);
    WorkerClient client{io.get_executor(), std::move(*stream), "instance local"};
    protocol::FetchItem die;
    die.path = "die";
    protocol::Fetch fetch;
    fetch.run.run = RunId{"r-test"};
    fetch.items.push_back(die);
    Ignore sink;
    const auto end = test::run(io, client.fetch(fetch, sink, 30s));
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, ErrorCode::kUnreachable);
    EXPECT_THAT(end.error().text, HasSubstr("exit status 3"));
    EXPECT_THAT(end.error().text, HasSubstr("dies as told"));
}

TEST(LocalEngine, AMissingWorkerIsNamed) {
    boost::asio::io_context io;
    const auto engine = make_local_engine(io.get_executor(), "/nowhere/nsa-worker");
    const auto stream = test::run(io, engine->open(local()));
    ASSERT_FALSE(stream);
    EXPECT_EQ(stream.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(stream.error().where, HasSubstr("/nowhere/nsa-worker"));
}

TEST(LocalEngine, AClosedStreamEndsAndReapsItsChild) {
    boost::asio::io_context io;
    const auto engine = make_local_engine(io.get_executor(), NSA_FAKE_WORKER);
    {
        auto stream = test::run(io, engine->open(local()));
        ASSERT_TRUE(stream);
    }
    io.restart();
    io.run_for(30s);  // ends by itself when the reaper is done
    EXPECT_TRUE(io.stopped());
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left, dead or alive";
}

TEST(ChildEnd, IsToldToEveryoneWhoWaitsAndSaysHow) {
    boost::asio::io_context io;
    const auto child = spawn_child("/bin/sh", {"-c", "read line; kill -SEGV $$"});
    ASSERT_TRUE(child);
    auto end = ChildEnd::watch(io.get_executor(), child->pid);
    ASSERT_TRUE(end) << end.error().describe();
    EXPECT_FALSE(test::run(io, end->within(1ms)));
    EXPECT_EQ(end->text(), "");
    int told = 0;
    for (int i = 0; i < 2; ++i) {
        boost::asio::co_spawn(io, end->within(30s),
                              [&](std::exception_ptr, bool ended) { told += ended ? 1 : 0; });
    }
    ASSERT_EQ(::write(child->stdio.get(), "go\n", 3), 3);
    EXPECT_TRUE(test::run(io, end->within(30s)));
    io.restart();
    io.run_for(30s);
    EXPECT_EQ(told, 2);
    EXPECT_EQ(end->text(), "signal 11");
    EXPECT_EQ(::waitpid(child->pid, nullptr, WNOHANG), -1) << "reaped";
}

TEST(ChildEnd, ThatIsLetGoTakesItsProcessWithIt) {
    boost::asio::io_context io;
    const auto child = spawn_child("/bin/sleep", {"300"});
    ASSERT_TRUE(child);
    { const auto end = ChildEnd::watch(io.get_executor(), child->pid); }
    EXPECT_EQ(::waitpid(child->pid, nullptr, WNOHANG), -1) << "killed and reaped";
    io.run_for(30s);
    EXPECT_TRUE(io.stopped()) << "nothing waits any more";
}

TEST(Child, GetsNoDescriptorButItsOwnThree) {
    const test::TempDir dir;
    const int leak = ::open((dir / "leak").c_str(), O_RDWR | O_CREAT, 0600);  // not CLOEXEC on purpose
    ASSERT_GE(leak, 0);
    const auto child = spawn_child("/bin/ls", {"/proc/self/fd"});
    ASSERT_TRUE(child) << child.error().describe();
    std::string listing;
    char buffer[256];
    for (ssize_t n; (n = ::read(child->stdio.get(), buffer, sizeof buffer)) > 0;) {
        listing.append(buffer, static_cast<std::size_t>(n));
    }
    ::waitpid(child->pid, nullptr, 0);
    ::close(leak);
    EXPECT_EQ(listing, "0\n1\n2\n3\n") << "3 is the folder that ls itself reads";
}

}  // namespace
}  // namespace nsa::engines
