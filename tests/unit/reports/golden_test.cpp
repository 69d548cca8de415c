// Whole reports of made-up runs, byte for byte. After a wanted change: NSA_UPDATE_GOLDEN=1 reports_test
// writes them anew (and fails, so that nobody forgets the flag); read the difference before committing it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

struct Golden {
    const char* name;
    RunFacts (*make)();
};

class GoldenTest : public testing::TestWithParam<Golden> {};

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST_P(GoldenTest, The_report_is_what_was_agreed) {
    const std::string path = std::string(NSA_GOLDEN_DIR) + "/" + GetParam().name + ".md";
    const std::string markdown = render(GetParam().make()).markdown;
    if (std::getenv("NSA_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(path, std::ios::binary) << markdown;
        FAIL() << path << " was written anew";
    }
    EXPECT_EQ(markdown, read(path));
}

TEST_P(GoldenTest, Rendering_again_gives_the_same_bytes) {
    const Rendered first = render(GetParam().make()), second = render(GetParam().make());
    EXPECT_EQ(first.markdown, second.markdown);
    EXPECT_EQ(first.html, second.html);
    EXPECT_EQ(first.json, second.json);
}

INSTANTIATE_TEST_SUITE_P(
    Reports, GoldenTest,
    testing::Values(Golden{"cpu_partial_pass", synthetic::cpu_partial_pass},
                    Golden{"gpu_pass", synthetic::gpu_pass}, Golden{"failed", synthetic::failed},
                    Golden{"crashed", synthetic::crashed}, Golden{"cancelled", synthetic::cancelled},
                    Golden{"nothing_ran", synthetic::nothing_ran}, Golden{"hostile", synthetic::hostile},
                    Golden{"repeated", synthetic::repeated}),
    [](const auto& golden) { return std::string(golden.param.name); });

}  // namespace
}  // namespace nsa::reports
