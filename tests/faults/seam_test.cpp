// Failpoints are chosen at link time: what is released cannot be told to die.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace nsa::faults {
namespace {

bool knows_failpoints(const char* program) {
    std::ifstream file(program, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    EXPECT_GT(bytes.size(), 1'000'000U) << program;
    return bytes.find("NSA_FAILPOINT") != std::string::npos;
}

TEST(FailpointSeam, ReleasedProgramsReadNoFailpointFromTheirEnvironmentAndTheLaboratorysDo) {
    EXPECT_FALSE(knows_failpoints(NSAD_PATH));
    EXPECT_FALSE(knows_failpoints(NSA_WORKER_PATH));
    EXPECT_TRUE(knows_failpoints(NSAD_LAB_PATH));
    EXPECT_TRUE(knows_failpoints(NSA_WORKER_LAB_PATH));
}

}  // namespace
}  // namespace nsa::faults
