#include "probe/parse.hpp"

#include <gtest/gtest.h>

namespace nsa::probe {
namespace {

TEST(ProbeParse, OsRelease) {
    EXPECT_EQ(parse_os_release("NAME=\"Ubuntu\"\nPRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\nID=ubuntu\n"),
              "Ubuntu 22.04.4 LTS");
    EXPECT_EQ(parse_os_release("PRETTY_NAME=Alpine\n"), "Alpine");
    EXPECT_EQ(parse_os_release("ID=x"), "");
}

TEST(ProbeParse, CpuInfo) {
    const std::string text =
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8468\n"
        "flags\t\t: fpu vme hypervisor avx512f\n\nprocessor\t: 1\nmodel name\t: other\nflags\t\t: fpu\n";
    EXPECT_EQ(parse_cpuinfo(text), (CpuInfo{"Intel(R) Xeon(R) Platinum 8468", true}));
    EXPECT_EQ(parse_cpuinfo("model name : bare\nflags : fpu nohypervisorish\n"), (CpuInfo{"bare", false}));
    EXPECT_EQ(parse_cpuinfo(""), CpuInfo{});
}

TEST(ProbeParse, MemInfoIsInBytes) {
    EXPECT_EQ(parse_meminfo("MemTotal:       24684 kB\nMemFree: 1 kB\nMemAvailable:   22000 kB\n"),
              (Facts{{"ram_bytes", "25276416"}, {"ram_available_bytes", "22528000"}}));
    EXPECT_TRUE(parse_meminfo("MemTotal: lots\n").empty());
}

TEST(ProbeParse, ToolVersions) {
    EXPECT_EQ(parse_nvcc_version(
                  "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\n"),
              "13.0");
    EXPECT_EQ(parse_nvcc_version("command not found"), "");
    EXPECT_EQ(parse_python_version("Python 3.11.7\n"), "3.11.7");
    EXPECT_EQ(parse_python_version("Python 3.12.0rc1"), "3.12.0rc1");
    EXPECT_EQ(parse_python_version("bash: python3"), "");
    EXPECT_EQ(
        parse_torch_version(
            "from typing import Optional\n\n__all__ = ['x']\n__version__ = '2.3.1+cu121'\ndebug = False\n"),
        "2.3.1+cu121");
    EXPECT_EQ(parse_torch_version("__version__: str = \"2.9.0\"\n"), "2.9.0");
    EXPECT_EQ(parse_torch_version("version = 1\n"), "");
}

TEST(ProbeParse, LogindKillsOnlyWhenItSaysSo) {
    EXPECT_FALSE(parse_kills_user_processes(""));
    EXPECT_FALSE(parse_kills_user_processes("[Login]\n#KillUserProcesses=yes\n"));
    EXPECT_TRUE(parse_kills_user_processes("KillUserProcesses=no\nKillUserProcesses = yes\n"));
}

// nvidia-smi --query-gpu=<kGpuFields> --format=csv,noheader,nounits, in the form two cards give it.
const char* const kTwoGpus =
    "NVIDIA H200, GPU-1c9d8a1e-0000-1111-2222-333344445555, 143771, 12, 580.82.07, 345, 3201, 1980, 3201, "
    "700.00, "
    "Enabled, 31, Disabled, Enabled, 96.00.CF.00.01, 00000000:19:00.0, 5, 16, 9.0, 0\n"
    "NVIDIA GeForce RTX 4090, GPU-aa, 24564, 0, 580.82.07, 210, 405, 3105, 10501, 450.00, [N/A], 40, [N/A], "
    "Disabled, 95.02.3C.40.C5, 00000000:1A:00.0, 4, 16, 8.9, [Unknown Error]\n";

TEST(ProbeParse, GpusAreNumberedAndAbsentValuesLeftOut) {
    const Facts facts = parse_gpus(kTwoGpus, kGpuFields);
    EXPECT_EQ(facts.at("gpu_count"), "2");
    EXPECT_EQ(facts.at("gpu.0.name"), "NVIDIA H200");
    EXPECT_EQ(facts.at("gpu.0.memory_mib"), "143771");
    EXPECT_EQ(facts.at("gpu.0.driver"), "580.82.07");
    EXPECT_EQ(facts.at("gpu.0.clock_sm_mhz"), "345");
    EXPECT_EQ(facts.at("gpu.0.clock_sm_max_mhz"), "1980");
    EXPECT_EQ(facts.at("gpu.0.power_limit_w"), "700.00");
    EXPECT_EQ(facts.at("gpu.0.ecc"), "Enabled");
    EXPECT_EQ(facts.at("gpu.0.mig"), "Disabled");
    EXPECT_EQ(facts.at("gpu.0.compute_capability"), "9.0");
    EXPECT_EQ(facts.at("gpu.1.uuid"), "GPU-aa");
    EXPECT_FALSE(facts.contains("gpu.1.ecc"));
    EXPECT_FALSE(facts.contains("gpu.1.utilization_percent"));
    EXPECT_FALSE(facts.contains("gpu_reason"));
}

TEST(ProbeParse, WhatIsNoGpuListGivesNoneAndTheReason) {
    for (const std::string text :
         {"No devices were found\n",
          "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", "a,b\n"}) {
        const Facts facts = parse_gpus(text, kGpuFields);
        EXPECT_EQ(facts.at("gpu_count"), "0");
        EXPECT_EQ(facts.at("gpu_reason"), "nvidia-smi answered: " + trim(text));
    }
    EXPECT_EQ(parse_gpus("\n", kGpuFields).at("gpu_reason"), "nvidia-smi lists no GPU");
}

}  // namespace
}  // namespace nsa::probe
