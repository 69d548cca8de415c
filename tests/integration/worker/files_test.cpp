// Files to the host (put) and from it (fetch), and requests that no client should make.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "language/hash.hpp"
#include "worker_process.hpp"

namespace nsa::test {
namespace {

using protocol::Frame;
using protocol::FrameType;

class Files : public ::testing::Test {
  protected:
    Frame put(const std::string& path, const std::string& bytes, const Sha256& hash,
              bool executable = false) {
        const auto id =
            worker_.send(FrameType::kPut, encode(protocol::Put{path, bytes.size(), hash, executable, false}));
        for (std::size_t at = 0; at < bytes.size(); at += 100'000) {
            worker_.send_as(id, FrameType::kPutData, std::string_view{bytes}.substr(at, 100'000));
        }
        return worker_.answer(id);
    }
    bool existed(const Frame& frame) { return WorkerProcess::read_reply<protocol::PutReply>(frame).existed; }
    std::string error(const Frame& frame) {
        EXPECT_EQ(frame.type, FrameType::kError) << frame.payload;
        return protocol::decode_error(frame.payload).describe();
    }
    std::filesystem::path run_dir() const { return dir_.path() / "runs/r-files.1"; }
    void make_run() { run_plan(worker_, kRun, plan_of({shell_case("case", "true")})); }
    void write(const std::string& path, const std::string& bytes) {
        std::filesystem::create_directories((run_dir() / path).parent_path());
        std::ofstream{run_dir() / path, std::ios::binary} << bytes;
    }
    struct Fetched {
        std::map<std::string, std::string> files;
        std::map<std::string, std::uint64_t> sizes;
        protocol::FetchEnd end;
    };
    Fetched fetch(std::vector<protocol::FetchItem> items, std::uint64_t credit = 4U << 20) {
        Fetched out;
        const auto id =
            worker_.send(FrameType::kFetch, encode(protocol::Fetch{kRun, std::move(items), credit}));
        const Frame end = worker_.answer(id, [&](const Frame& frame) {
            for (const auto& piece : protocol::decode_files(frame.payload).value()) {
                out.files[std::string{piece.path}] += piece.bytes;
                out.sizes[std::string{piece.path}] = piece.file_size;
            }
            worker_.send_as(id, FrameType::kCredit, protocol::encode_credit(frame.payload.size()));
        });
        out.end = WorkerProcess::read_reply<protocol::FetchEnd>(end);
        return out;
    }

    const protocol::RunKey kRun = run_key("r-files");
    TempDir dir_;
    WorkerProcess worker_{dir_.path()};
};

TEST_F(Files, PutLandsWholeWithItsModeAndIsKnownAfterwards) {
    const std::string bytes(777'777, 'x');
    const Sha256 hash = sha256_of(bytes);
    EXPECT_FALSE(existed(put("src/core-1/deep/a.cpp", bytes, hash, true)));
    EXPECT_EQ(read_text(dir_.path() / "src/core-1/deep/a.cpp"), bytes);
    struct stat info {};
    ASSERT_EQ(::stat((dir_.path() / "src/core-1/deep/a.cpp").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0755U);
    const protocol::Put check{"src/core-1/deep/a.cpp", bytes.size(), hash, true, true};
    EXPECT_TRUE(worker_.ask<protocol::PutReply>(FrameType::kPut, encode(check)).existed);
    // Answered before the data: what was sent unasked is dropped, and the next request is understood.
    EXPECT_TRUE(existed(put("src/core-1/deep/a.cpp", bytes, hash, true)));
    EXPECT_FALSE(existed(put("src/core-1/empty", "", sha256_of(""))));
    EXPECT_TRUE(std::filesystem::exists(dir_.path() / "src/core-1/empty"));
    EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "tmp"));
}

TEST_F(Files, AWrongHashLeavesWhatWasThere) {
    EXPECT_FALSE(existed(put("a", "old", sha256_of("old"))));
    EXPECT_NE(error(put("a", "new", sha256_of("else"))).find("announced was"), std::string::npos);
    EXPECT_EQ(read_text(dir_.path() / "a"), "old");
    EXPECT_FALSE(existed(put("a", "new", sha256_of("new"))));
    EXPECT_EQ(read_text(dir_.path() / "a"), "new");
    EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "tmp"));
}

TEST_F(Files, MoreDataThanAnnouncedIsRefused) {
    const auto id =
        worker_.send(FrameType::kPut, encode(protocol::Put{"a", 3, sha256_of("abc"), false, false}));
    worker_.send_as(id, FrameType::kPutData, "abcd");
    EXPECT_NE(error(worker_.answer(id)).find("more data"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "a"));
}

TEST_F(Files, PutNeverLeavesTheHomeNorEntersRuns) {
    TempDir outside;
    std::filesystem::create_directory_symlink(outside.path(), dir_.path() / "link");
    std::ofstream{outside.path() / "target"} << "precious";
    std::filesystem::create_symlink(outside.path() / "target", dir_.path() / "file");
    EXPECT_NE(error(put("link/x", "x", sha256_of("x"))).find("symbolic link"), std::string::npos);
    error(put("runs/r-1.1/plan.json", "x", sha256_of("x")));
    // A link at the place itself is replaced, not followed... and not even that: it is refused.
    error(put("file", "x", sha256_of("x")));
    EXPECT_EQ(read_text(outside.path() / "target"), "precious");
    EXPECT_FALSE(std::filesystem::exists(outside.path() / "x"));
    const std::string hash = sha256_of("x").value;
    for (const std::string path : {"../x", "/tmp/x", "a/../../x", ""}) {
        EXPECT_EQ(
            worker_.refused(FrameType::kPut, encode(protocol::Put{path, 1, Sha256{hash}, false, false})).code,
            ErrorCode::kProtocol)
            << path;
    }
}

TEST_F(Files, AnUploadThatIsCutLeavesNothing) {
    const auto id =
        worker_.send(FrameType::kPut, encode(protocol::Put{"a", 10, sha256_of("x"), false, false}));
    worker_.send_as(id, FrameType::kPutData, "abc");
    worker_.answer(worker_.send(FrameType::kPing, "{}"));
    EXPECT_FALSE(std::filesystem::is_empty(dir_.path() / "tmp"));
    worker_.close_stdin();
    EXPECT_EQ(worker_.wait(), 0);
    EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "tmp"));
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "a"));
}

TEST_F(Files, FetchBringsFilesByteForByteFromAnyOffset) {
    make_run();
    const std::string large(2'345'678, 'L');
    write("steps/case/large.bin", large);
    write("steps/case/empty.csv", "");
    write("steps/case/small.csv", "a,b\n");
    const auto fetched = fetch({{"steps/case/large.bin", 0},
                                {"steps/case/empty.csv", 0},
                                {"steps/case/small.csv", 2},
                                {"manifest.json", 0}},
                               50'000);
    EXPECT_EQ(fetched.files.at("steps/case/large.bin"), large);
    EXPECT_EQ(fetched.files.at("steps/case/empty.csv"), "");
    EXPECT_EQ(fetched.files.at("steps/case/small.csv"), "b\n");
    EXPECT_EQ(fetched.sizes.at("steps/case/small.csv"), 4U);
    EXPECT_EQ(fetched.files.at("manifest.json"), read_text(run_dir() / "manifest.json"));
    EXPECT_TRUE(fetched.end.missing.empty());
}

TEST_F(Files, FetchNamesWhatIsMissingAndFollowsNoLink) {
    make_run();
    std::filesystem::create_symlink("/etc/passwd", run_dir() / "steps/case/link");
    std::filesystem::create_directory_symlink("/etc", run_dir() / "steps/case/etc");
    ASSERT_EQ(::mkfifo((run_dir() / "steps/case/fifo").c_str(), 0600), 0);
    write("steps/case/after", "here");
    const auto fetched = fetch({{"steps/case/link", 0},
                                {"steps/case/etc/passwd", 0},
                                {"steps/case/fifo", 0},
                                {"steps/case", 0},
                                {"nowhere/x", 0},
                                {"steps/case/after", 0}});
    EXPECT_EQ(fetched.end.missing, (std::vector<std::string>{"steps/case/link", "steps/case/etc/passwd",
                                                             "steps/case/fifo", "steps/case", "nowhere/x"}));
    EXPECT_EQ(fetched.files, (std::map<std::string, std::string>{{"steps/case/after", "here"}}));
    const auto unknown =
        worker_.refused(FrameType::kFetch, encode(protocol::Fetch{run_key("r-none"), {{"a", 0}}, 1}));
    EXPECT_EQ(unknown.code, ErrorCode::kNotFound);
}

TEST_F(Files, AFileThatShrinksWhileItIsReadIsNamed) {
    make_run();
    write("steps/case/shrinks", std::string(1'000'000, 's'));
    write("steps/case/after", "here");
    // With little credit only its beginning is read before it shrinks.
    const auto id = worker_.send(
        FrameType::kFetch,
        encode(protocol::Fetch{kRun, {{"steps/case/shrinks", 0}, {"steps/case/after", 0}}, 1000}));
    Frame first = worker_.next();
    ASSERT_EQ(first.type, FrameType::kFile);
    std::filesystem::resize_file(run_dir() / "steps/case/shrinks", 10);
    worker_.send_as(id, FrameType::kCredit, protocol::encode_credit(4U << 20));
    const auto end = WorkerProcess::read_reply<protocol::FetchEnd>(worker_.answer(id));
    EXPECT_EQ(end.missing, std::vector<std::string>{"steps/case/shrinks"});
}

TEST_F(Files, ThousandsOfSmallFilesComeInOneStream) {
    make_run();
    constexpr int kFiles = 10'000;
    std::vector<protocol::FetchItem> items;
    for (int i = 0; i < kFiles; ++i) {
        items.push_back({"steps/case/d" + std::to_string(i / 100) + "/f" + std::to_string(i), 0});
        write(items.back().path, std::string(1024, static_cast<char>('a' + i % 26)));
    }
    const auto fetched = fetch(items);
    ASSERT_EQ(fetched.files.size(), static_cast<std::size_t>(kFiles));
    for (const auto& [path, bytes] : fetched.files)
        ASSERT_EQ(bytes.size(), 1024U) << path;
}

TEST_F(Files, TheFirstRequestMustBeHelloOfThisVersion) {
    WorkerProcess fresh{dir_.path(), {.greet = false}};
    EXPECT_EQ(fresh.refused(FrameType::kPing, "{}").code, ErrorCode::kProtocol);
    const auto other = fresh.refused(FrameType::kHello, encode(protocol::Hello{99, "future"}));
    EXPECT_NE(other.text.find("99"), std::string::npos) << other.text;
    EXPECT_NE(other.text.find("this worker speaks 1"), std::string::npos) << other.text;
    const auto reply = fresh.ask<protocol::HelloReply>(FrameType::kHello, encode(protocol::Hello{1, "test"}));
    EXPECT_EQ(reply.home, dir_.path().string());
    EXPECT_GT(reply.disk_free_bytes, 0U);
    EXPECT_FALSE(reply.boot_id.empty());
}

TEST_F(Files, BrokenFramingEndsServeWithAnError) {
    worker_.send_raw(std::string_view{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12});
    const Frame frame = worker_.next();
    EXPECT_EQ(frame.type, FrameType::kError);
    EXPECT_EQ(worker_.wait(), 1);
}

TEST_F(Files, NonsenseRequestsAreRefusedOneByOne) {
    for (const auto type :
         {FrameType::kPut, FrameType::kLaunch, FrameType::kAttach, FrameType::kFetch, FrameType::kCancel}) {
        EXPECT_EQ(worker_.refused(type, "{}").code, ErrorCode::kProtocol);
        EXPECT_EQ(worker_.refused(type, "\xff").code, ErrorCode::kProtocol);
    }
    EXPECT_EQ(worker_.refused(FrameType::kReply, "{}").code, ErrorCode::kProtocol);
    // Frames about streams that do not exist are late, not wrong.
    worker_.send(FrameType::kCredit, protocol::encode_credit(1));
    worker_.send(FrameType::kDetach, "{}");
    worker_.send(FrameType::kPutData, "x");
    EXPECT_EQ(worker_.answer(worker_.send(FrameType::kPing, "{}")).payload, "{}");
}

TEST_F(Files, ProbeAnswersWhilePingsGoOn) {
    const auto probe = worker_.send(FrameType::kProbe, "{}");
    EXPECT_EQ(worker_.answer(worker_.send(FrameType::kPing, "{}")).payload, "{}");
    // The ping's answer may have come after the probe's; ask again when it was dropped.
    static_cast<void>(probe);
    const auto reply = worker_.ask<protocol::ProbeReply>(FrameType::kProbe, "{}");
    EXPECT_TRUE(reply.facts.contains("gpu_count"));
    EXPECT_FALSE(reply.facts.at("kernel").empty());
}

}  // namespace
}  // namespace nsa::test
