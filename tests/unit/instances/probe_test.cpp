#include "instances/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsa::instances {
namespace {

using testing::HasSubstr;
using testing::Optional;

Facts two_gpus() {
    return {{"os", "Debian 12"},
            {"gpu_count", "2"},
            {"gpu.0.name", "NVIDIA A100-SXM4-80GB"},
            {"gpu.0.uuid", "GPU-1"},
            {"gpu.0.memory_mib", "81920"},
            {"gpu.1.name", "NVIDIA A100-SXM4-40GB"},
            {"gpu.1.uuid", "GPU-2"},
            {"gpu.1.memory_mib", "40960"}};
}

language::Target target(std::string gpu, int count = 1) {
    language::Target wanted;
    wanted.gpu = std::move(gpu);
    wanted.count = count;
    return wanted;
}

TEST(HostFacts, AreReadFromTheProbe) {
    const auto host = host_facts(two_gpus());
    ASSERT_TRUE(host);
    ASSERT_EQ(host->gpus.size(), 2U);
    EXPECT_EQ(host->gpus[0], (Gpu{"NVIDIA A100-SXM4-80GB", "GPU-1", 81920}));
}

TEST(HostFacts, AHostWithoutGpusHasNone) {
    EXPECT_TRUE(host_facts({{"gpu_count", "0"}})->gpus.empty());
    EXPECT_TRUE(host_facts({{"os", "Debian 12"}})->gpus.empty());
}

TEST(HostFacts, ContradictionsAreErrors) {
    for (const Facts& facts :
         {Facts{{"gpu_count", "two"}}, Facts{{"gpu_count", "1"}}, Facts{{"gpu_count", "999999"}},
          Facts{{"gpu_count", "1"}, {"gpu.0.name", "x"}, {"gpu.0.memory_mib", "[N/A]"}}}) {
        const auto host = host_facts(facts);
        ASSERT_FALSE(host);
        EXPECT_EQ(host.error().code, ErrorCode::kProtocol);
    }
}

TEST(Mismatch, AnyAndNoneFitEveryHost) {
    for (const char* gpu : {"any", "none", ""}) {
        EXPECT_EQ(mismatch(target(gpu), Facts{}), std::nullopt);
        EXPECT_EQ(mismatch(target(gpu), two_gpus()), std::nullopt);
    }
}

TEST(Mismatch, AModelIsAWholeWordOfTheName) {
    EXPECT_EQ(mismatch(target("A100"), two_gpus()), std::nullopt);
    EXPECT_EQ(mismatch(target("a100"), two_gpus()), std::nullopt);
    EXPECT_THAT(mismatch(target("A10"), two_gpus()), Optional(HasSubstr("1 x A10 is asked for")));
    EXPECT_THAT(mismatch(target("H100"), two_gpus()),
                Optional(HasSubstr("has 1 x NVIDIA A100-SXM4-40GB, 1 x")));
}

TEST(Mismatch, MemoryAndCountMustBeThere) {
    EXPECT_EQ(mismatch(target("A100:80GB"), two_gpus()), std::nullopt);
    EXPECT_EQ(mismatch(target("A100:40GB", 2), two_gpus()), std::nullopt);
    EXPECT_THAT(mismatch(target("A100:80GB", 2), two_gpus()),
                Optional(HasSubstr("2 x A100:80GB are asked for")));
    EXPECT_THAT(mismatch(target("A100", 3), two_gpus()), Optional(HasSubstr("3 x A100")));
}

TEST(Mismatch, AnUnprobedHostFitsNoModelYet) {
    EXPECT_THAT(mismatch(target("A100"), Facts{}), Optional(HasSubstr("not probed")));
    EXPECT_THAT(mismatch(target("A100"), Facts{{"gpu_count", "x"}}), Optional(HasSubstr("contradictory")));
    EXPECT_THAT(mismatch(target("A100"), Facts{{"gpu_count", "0"}}), Optional(HasSubstr("has no GPU")));
}

}  // namespace
}  // namespace nsa::instances
