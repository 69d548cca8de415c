#include "nsa_core/tools/host.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsa::core::tools {
namespace {

TEST(Host, CpuModelIsReadOnX86AndArm) {
    EXPECT_EQ(cpu_model_in("processor\t: 0\nmodel name\t: AMD EPYC 9654 \nflags: x\n"), "AMD EPYC 9654");
    EXPECT_EQ(cpu_model_in("processor\t: 0\nCPU part\t: 0xd4f\n"), "0xd4f");
    EXPECT_EQ(cpu_model_in(""), "unknown");
}

TEST(Host, DriverVersionIsTheDottedNumberOfTheFirstLine) {
    EXPECT_EQ(driver_version_in("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Tue Oct\n"
                                "GCC version:  gcc version 13.3.0\n"),
              "580.159.04");
    EXPECT_EQ(driver_version_in("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.54.03  Rel\n"),
              "535.54.03");
    EXPECT_EQ(driver_version_in(""), "");
    EXPECT_EQ(driver_version_in("no version here\n"), "");
}

TEST(Host, ThisHostHasCoresAndMemoryAndThisProcessUsesSome) {
    const HostInfo host = host_info();
    EXPECT_GT(host.cores, 0);
    EXPECT_GT(host.memory_bytes, peak_resident_bytes());
    EXPECT_GT(peak_resident_bytes(), 0);
}

}  // namespace
}  // namespace nsa::core::tools
