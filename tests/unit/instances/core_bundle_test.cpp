#include "instances/core_bundle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <set>

#include "language/hash.hpp"
#include "support/memory_stream.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace nsa::instances {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

void write_sources(const std::filesystem::path& root) {
    test::write_file(root / "CMakeLists.txt", "project(nsa_core)");
    test::write_file(root / "src/b.cpp", "int b;");
    test::write_file(root / "src/a.cpp", "int a;");
    test::write_file(root / ".git/config", "hidden");
    test::write_file(root / "src/.swp", "hidden");
    test::write_file(root / "empty.hpp", "");
}

std::vector<std::string> paths(const CoreBundle& bundle) {
    std::vector<std::string> out;
    for (const BundleFile& file : bundle.files)
        out.push_back(file.path);
    return out;
}

TEST(CoreBundle, HoldsTheVisibleFilesSortedWithTheirHashes) {
    const test::TempDir dir;
    write_sources(dir.path());
    const auto bundle = read_core_bundle(dir.path());
    ASSERT_TRUE(bundle) << bundle.error().describe();
    EXPECT_THAT(paths(*bundle), ElementsAre("CMakeLists.txt", "empty.hpp", "src/a.cpp", "src/b.cpp"));
    EXPECT_EQ(bundle->files[2].sha256, sha256_of("int a;"));
    EXPECT_EQ(bundle->files[2].size, 6U);
}

TEST(CoreBundle, ItsHashFollowsContentAndNamesAndNothingElse) {
    const test::TempDir one, two;
    write_sources(one.path());
    write_sources(two.path());
    const Sha256 hash = read_core_bundle(one.path())->hash;
    EXPECT_EQ(read_core_bundle(two.path())->hash, hash);
    test::write_file(two / "src/a.cpp", "int A;");
    EXPECT_NE(read_core_bundle(two.path())->hash, hash);
    write_sources(two.path());
    std::filesystem::rename(two / "src/a.cpp", two / "src/c.cpp");
    EXPECT_NE(read_core_bundle(two.path())->hash, hash);
}

TEST(CoreBundle, AFolderWithoutSourcesIsNamed) {
    const test::TempDir dir;
    const auto bundle = read_core_bundle(dir.path());
    ASSERT_FALSE(bundle);
    EXPECT_EQ(bundle.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(bundle.error().text, HasSubstr("CMakeLists.txt"));
    EXPECT_EQ(bundle.error().where, dir.path().string());
}

TEST(CoreBuild, PublishesTheToolByRenameUnderTheBundlesHash) {
    CoreBundle bundle;
    bundle.hash = sha256_of("x");
    const std::string name = "nsa_core-" + bundle.hash.value.substr(0, 16);
    const CoreBuild build = plan_core_build(bundle, "/root/.nsa");
    EXPECT_EQ(build.source_dir, "src/" + name);
    EXPECT_EQ(build.tool, "/root/.nsa/tools/" + name + "/bin/nsa-core");
    ASSERT_FALSE(build.setup.empty());
    for (const language::SetupCommand& command : build.setup) {
        EXPECT_EQ(command.creates, build.tool) << "skipped as a whole once the tool is there";
        EXPECT_EQ(command.argv.front(), "cmake");
        EXPECT_FALSE(command.title.empty());
    }
    EXPECT_THAT(build.setup.front().argv, testing::Contains("/root/.nsa/src/" + name));
    EXPECT_THAT(build.setup.back().argv,
                ElementsAre("cmake", "-E", "rename", build.tool + ".part", build.tool));
}

// A worker that has one of the files already and keeps what it is sent.
asio::awaitable<void> serve_puts(test::MemoryPeer& peer, Sha256 there,
                                 std::map<std::string, std::string>& kept, std::set<std::string>& asked) {
    std::map<std::uint32_t, protocol::Put> open;
    for (;;) {
        const protocol::Frame frame = co_await peer.next_frame();
        if (frame.type == protocol::FrameType::kPut) {
            const protocol::Put put = *protocol::decode<protocol::Put>(frame.payload);
            asked.insert(put.path);
            if (put.only_check || put.size == 0) {
                protocol::PutReply reply;
                reply.existed = put.only_check && put.sha256 == there;
                if (!put.only_check) kept[put.path] = "";
                peer.send(protocol::FrameType::kReply, frame.request, protocol::encode(reply));
            } else {
                open[frame.request] = put;
            }
        } else {
            const protocol::Put put = open.at(frame.request);
            kept[put.path] += frame.payload;
            if (kept[put.path].size() < put.size) continue;
            peer.send(protocol::FrameType::kReply, frame.request, protocol::encode(protocol::PutReply{}));
        }
    }
}

TEST(PushCoreBundle, SendsWhatIsMissingAndCountsIt) {
    const test::TempDir dir;
    write_sources(dir.path());
    const CoreBundle bundle = *read_core_bundle(dir.path());
    std::map<std::string, std::string> kept;
    std::set<std::string> asked;
    asio::io_context io;
    test::MemoryPeer peer{io.get_executor()};
    engines::WorkerClient client{io.get_executor(), peer.take_stream(), "instance test"};
    asio::co_spawn(io, serve_puts(peer, sha256_of("int b;"), kept, asked), [](std::exception_ptr) {});
    const auto sent = test::run(io, push_core_bundle(client, bundle, 5s));
    ASSERT_TRUE(sent) << sent.error().describe();
    EXPECT_EQ(*sent, 3U);
    const std::string folder = plan_core_build(bundle, "/h").source_dir;
    EXPECT_EQ(asked.size(), 4U);
    EXPECT_EQ(kept.size(), 3U);
    EXPECT_EQ(kept[folder + "/src/a.cpp"], "int a;");
    EXPECT_EQ(kept.count(folder + "/src/b.cpp"), 0U);
    client.close();
    test::settle(io);
}

TEST(PushCoreBundle, ALinkThatEndsIsAnError) {
    const test::TempDir dir;
    write_sources(dir.path());
    const CoreBundle bundle = *read_core_bundle(dir.path());
    asio::io_context io;
    test::MemoryPeer peer{io.get_executor()};
    engines::WorkerClient client{io.get_executor(), peer.take_stream(), "instance test"};
    peer.hang_up();
    const auto sent = test::run(io, push_core_bundle(client, bundle, 5s));
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, ErrorCode::kUnreachable);
}

}  // namespace
}  // namespace nsa::instances
