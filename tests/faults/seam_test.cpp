// Failpoints are chosen at link time: what is released cannot be told to die.
#include <gtest/gtest.h>

#include <string>

#include "support/temp_dir.hpp"

namespace nsa::faults {
namespace {

bool knows_failpoints(const char* program) {
    const std::string bytes = test::read_file(program);
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
