#include "probe/probe.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "posix/capture.hpp"
#include "probe/gpu.hpp"

namespace nsa::probe {
namespace {

// A folder of fake tools that stands first in PATH.
class FakeTools : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "nsa-probe-test-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    void tool(const std::string& name, const std::string& script) {
        const auto path = folder_ / name;
        std::ofstream{path} << "#!/bin/sh\n" << script << "\n";
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    }
    posix::Environment environment() const {
        return {{"PATH", folder_.string() + ":/usr/bin:/bin"}, {"HOME", folder_.string()}};
    }

    std::filesystem::path folder_;
};

TEST_F(FakeTools, AHangingDriverCostsItsDeadlineAndIsNamed) {
    tool("nvidia-smi", "sleep 300");
    const auto start = std::chrono::steady_clock::now();
    const Facts facts = probe_gpus(environment(), std::chrono::milliseconds{200});
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{10});
    EXPECT_EQ(facts.at("gpu_count"), "0");
    EXPECT_NE(facts.at("gpu_reason").find("did not end within 200 ms"), std::string::npos)
        << facts.at("gpu_reason");
}

TEST_F(FakeTools, AFailingDriverIsQuoted) {
    tool("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18");
    const Facts facts = probe_gpus(environment(), std::chrono::seconds{10});
    EXPECT_EQ(facts.at("gpu_reason"),
              "nvidia-smi ended with 18: Failed to initialize NVML: Driver/library version mismatch");
}

TEST_F(FakeTools, AnOldDriverIsAskedForLess) {
    tool("nvidia-smi",
         "case $1 in *mig.mode*) echo 'Field \"mig.mode.current\" is not a valid field to query.'; exit 2;; "
         "esac\n"
         "echo 'Tesla V100, GPU-old, 16160, 418.87, 135, 877, 300.00, 30, 88.00'");
    const Facts facts = probe_gpus(environment(), std::chrono::seconds{10});
    EXPECT_EQ(facts.at("gpu_count"), "1");
    EXPECT_EQ(facts.at("gpu.0.name"), "Tesla V100");
}

TEST_F(FakeTools, HostFactsAreThereAndSurviveJson) {
    tool("nvcc", "echo 'Cuda compilation tools, release 12.4, V12.4.131'");
    std::filesystem::create_directories(folder_ / ".local/lib/python3.11/site-packages/torch");
    std::ofstream{folder_ / ".local/lib/python3.11/site-packages/torch/version.py"}
        << "__version__ = '2.5.0'\n";
    ProbeOptions options;
    options.disk = folder_;
    options.environment = environment();
    options.environment["PATH"] = folder_.string();  // no nvidia-smi, whatever this machine has
    const Facts facts = probe_host(options);
    for (const char* name :
         {"os", "kernel", "hostname", "cpu_model", "cpu_count", "ram_bytes", "disk_free_bytes", "boot_id",
          "load_1m", "uptime_s", "virtualisation", "gpu_reason"}) {
        EXPECT_TRUE(facts.contains(name)) << name;
    }
    EXPECT_EQ(facts.at("gpu_count"), "0");
    EXPECT_EQ(facts.at("torch_version"), "2.5.0");
    EXPECT_EQ(facts_from_json(to_json(facts)).value(), facts);
    EXPECT_FALSE(facts_from_json("[]"));
}

TEST_F(FakeTools, TorchIsLookedForFirstWherePathSaysPythonIs) {
    for (const std::string root : {"venv", ".local"}) {
        const auto torch = folder_ / root / "lib/python3.11/site-packages/torch";
        std::filesystem::create_directories(torch);
        std::ofstream{torch / "version.py"} << "__version__ = '" << (root == "venv" ? "2.9.1" : "2.5.0")
                                            << "'\n";
    }
    ProbeOptions options;
    options.disk = folder_;
    options.environment = environment();
    options.environment["PATH"] = ":relative/bin:/no/such/bin:" + (folder_ / "venv/bin").string();
    EXPECT_EQ(probe_host(options).at("torch_version"), "2.9.1");
    options.environment["PATH"] = folder_.string();
    EXPECT_EQ(probe_host(options).at("torch_version"), "2.5.0");
}

TEST_F(FakeTools, CaptureBoundsOutputAndTellsSignals) {
    const auto flood =
        posix::capture({"sh", "-c", "yes | head -c 5000000"}, environment(), std::chrono::seconds{20});
    EXPECT_EQ(flood.value().output.size(), posix::kCaptureLimit);
    EXPECT_EQ(
        posix::capture({"sh", "-c", "kill -9 $$"}, environment(), std::chrono::seconds{20}).value().exit_code,
        137);
    EXPECT_EQ(posix::capture({"no-such-tool"}, environment(), std::chrono::seconds{1}).error().code,
              ErrorCode::kNotFound);
}

}  // namespace
}  // namespace nsa::probe
