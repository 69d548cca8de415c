#include "runner/collect.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "language/hash.hpp"
#include "posix/files.hpp"

namespace nsa::runner {
namespace {

class Collect : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "nsa-collect-test-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        path_ = name;
        fd_ = posix::open_dir(name).value();
    }
    void TearDown() override { std::filesystem::remove_all(path_); }
    void write(const std::string& name, const std::string& bytes) {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream{path_ / name, std::ios::binary} << bytes;
    }
    Collected collect_with(const CollectLimits& limits) {
        return collect(fd_.get(), {{"steps/a", {"**/*.csv"}}, {"steps/b", {}}}, limits);
    }
    static std::vector<std::string> paths(const Collected& collected) {
        std::vector<std::string> out;
        for (const auto& entry : collected.manifest)
            out.push_back(entry.path);
        return out;
    }

    std::filesystem::path path_;
    UniqueFd fd_;
};

TEST_F(Collect, LogsOfAllStepsComeBeforeArtifactsAndNothingTwice) {
    write("steps/a/stdout", "out");
    write("steps/a/z.csv", "z");
    write("steps/a/d/a.csv", "a");
    write("steps/a/ignored", "x");
    write("steps/b/stderr", "err");
    write("steps/b/b.csv", "no glob");
    const auto collected = collect_with({});
    EXPECT_EQ(paths(collected), (std::vector<std::string>{"steps/a/stdout", "steps/b/stderr",
                                                          "steps/a/d/a.csv", "steps/a/z.csv"}));
    EXPECT_EQ(collected.bytes, 8U);
    EXPECT_EQ(collected.manifest[0].sha256, sha256_of("out"));
    EXPECT_EQ(collected.left_out_count, 0U);
}

TEST_F(Collect, WhatGoesOverTheCapsIsNamed) {
    write("steps/a/stdout", "12345");
    for (int i = 0; i < 30; ++i)
        write("steps/a/" + std::to_string(100 + i) + ".csv", "x");
    const auto by_count = collect_with({.files = 3, .bytes = 100});
    EXPECT_EQ(by_count.manifest.size(), 3U);
    EXPECT_EQ(by_count.left_out_count, 28U);
    EXPECT_EQ(by_count.left_out.size(), 20U);
    EXPECT_EQ(by_count.left_out.front(), "steps/a/102.csv: over the limit of 3 files");

    const auto by_size = collect_with({.files = 100, .bytes = 4});
    EXPECT_EQ(by_size.manifest.size(), 4U) << "a large file leaves the room to small ones";
    EXPECT_EQ(by_size.left_out.front(), "steps/a/stdout: 5 bytes, over the limit of 4 bytes per run");
}

TEST_F(Collect, AFolderThatVanishedIsNoCrash) {
    const auto collected = collect_with({});
    EXPECT_TRUE(collected.manifest.empty());
    EXPECT_EQ(collected.left_out_count, 1U) << "the globs of steps/a had nowhere to look";
}

}  // namespace
}  // namespace nsa::runner
