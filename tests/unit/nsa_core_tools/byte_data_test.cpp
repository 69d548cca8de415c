#include "nsa_core/train/byte_data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <utility>

namespace nsa::core::train {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;
using ::testing::SizeIs;

TEST(SyntheticBytes, AreTheSameForTheSameSeedAndOnlyForThat) {
    EXPECT_EQ(synthetic_bytes(4096, 7), synthetic_bytes(4096, 7));
    EXPECT_NE(synthetic_bytes(4096, 7), synthetic_bytes(4096, 8));
}

TEST(SyntheticBytes, AreWordsOfLettersAndBlanks) {
    const auto bytes = synthetic_bytes(10000, 0);
    ASSERT_THAT(bytes, SizeIs(10000));
    EXPECT_THAT(bytes, Each(AnyOf(' ', AllOf(Ge('a'), Le('z')))));
    std::set<std::string> words;
    std::string word;
    for (const auto byte : bytes) {
        if (byte != ' ') {
            word += static_cast<char>(byte);
        } else {
            words.insert(std::exchange(word, {}));
        }
    }
    EXPECT_LE(words.size(), 64u);
    EXPECT_GE(words.size(), 32u);
}

TEST(WindowSampler, DrawsWholeWindowsOfTheDataRepeatably) {
    std::vector<std::uint8_t> data(1000);
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = static_cast<std::uint8_t>(i % 251);
    WindowSampler sampler{data, 10, 3};
    const auto tokens = sampler.draw(20);
    ASSERT_THAT(tokens, SizeIs(200));
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::int64_t expected = i % 10 == 0 ? tokens[i] : (tokens[i - 1] + 1) % 251;
        EXPECT_EQ(tokens[i], expected);
    }
    WindowSampler again{data, 10, 3};
    EXPECT_EQ(again.draw(20), tokens);
    EXPECT_NE(again.draw(20), tokens);
}

TEST(WindowSampler, RefusesDataShorterThanAWindow) {
    EXPECT_THROW((WindowSampler{{1, 2, 3}, 4, 0}), std::invalid_argument);
    WindowSampler exact{{1, 2, 3, 4}, 4, 0};
    EXPECT_THAT(exact.draw(1), ElementsAre(1, 2, 3, 4));
}

}  // namespace
}  // namespace nsa::core::train
