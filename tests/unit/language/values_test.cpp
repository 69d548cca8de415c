#include <gmock/gmock.h>

#include <set>

#include "language/hash.hpp"
#include "language/ids.hpp"
#include "language/names.hpp"
#include "language/result.hpp"
#include "language/run_state.hpp"

namespace nsa {
namespace {

TEST(RunIdTest, AcceptsLowercaseLettersDigitsAndHyphensUpTo64Characters) {
    EXPECT_TRUE(is_valid_run_id(RunId{"r-0123456789abc"}));
    EXPECT_TRUE(is_valid_run_id(RunId{"7"}));
    EXPECT_TRUE(is_valid_run_id(RunId{std::string(64, 'a')}));
}

TEST(RunIdTest, RefusesWhatCouldNotNameAFolder) {
    for (const char* bad : {"", "-a", "A", "a/b", "..", "a b", "a\n", "é"}) {
        EXPECT_FALSE(is_valid_run_id(RunId{bad})) << bad;
    }
    EXPECT_FALSE(is_valid_run_id(RunId{std::string(65, 'a')}));
}

TEST(Sha256Test, AgreesWithThePublishedTestVectors) {
    EXPECT_EQ(sha256_of("").value, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256_of("abc").value, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, DoesNotDependOnHowTheBytesWereCut) {
    Sha256Hasher hasher;
    hasher.update("a");
    Sha256Hasher moved = std::move(hasher);
    moved.update("");
    moved.update("bc");
    EXPECT_EQ(moved.finish(), sha256_of("abc"));
}

TEST(ErrorTest, SaysWhereAndWhat) {
    EXPECT_EQ(fail(ErrorCode::kUsage, "no such flag", "x.yaml:3:1").describe(), "x.yaml:3:1: no such flag");
    EXPECT_EQ(fail(ErrorCode::kUsage, "no such flag").describe(), "no such flag");
}

TEST(ErrorTest, TakingTheValueOfAFailureThrowsItsText) {
    const Result<int> result = fail(ErrorCode::kNoSpace, "disk full", "journal");
    try {
        (void)result.value();
        FAIL() << "no exception";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "journal: disk full");
    }
}

TEST(ErrorTest, EveryCodeHasItsOwnWord) {
    std::set<std::string_view> words;
    for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
        words.insert(to_string(static_cast<ErrorCode>(code)));
    }
    EXPECT_EQ(words.size(), static_cast<std::size_t>(ErrorCode::kInternal) + 1);
}

}  // namespace
}  // namespace nsa

namespace nsa::language {
namespace {

template <class Enum>
void expect_words_round_trip(Enum last) {
    ASSERT_EQ(kEnumNames<Enum>.size(), static_cast<std::size_t>(last) + 1);
    for (int i = 0; i <= static_cast<int>(last); ++i) {
        const auto value = static_cast<Enum>(i);
        EXPECT_EQ(value_named<Enum>(name_of(value)), value) << name_of(value);
    }
    EXPECT_EQ(value_named<Enum>("no such word"), std::nullopt);
}

TEST(NamesTest, EveryValueOfEveryEnumHasOneWordAndComesBackFromIt) {
    expect_words_round_trip(Op::kEqual);
    expect_words_round_trip(Aggregate::kEach);
    expect_words_round_trip(Direction::kIncreasing);
    expect_words_round_trip(Level::kInfo);
    expect_words_round_trip(Verdict::kCancelled);
    expect_words_round_trip(Status::kCancelled);
    expect_words_round_trip(RunState::kDone);
    expect_words_round_trip(Reason::kInternal);
    expect_words_round_trip(EndKind::kNotStarted);
    expect_words_round_trip(RunEnd::kWorkerError);
    expect_words_round_trip(FailureClass::kInterruption);
    expect_words_round_trip(EngineKind::kSlurm);
    expect_words_round_trip(ParserKind::kRegex);
}

}  // namespace
}  // namespace nsa::language
