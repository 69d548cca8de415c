#include "nsa_core/tools/flags.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsa::core::tools {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

enum class Colour { red, green };

struct Options {
    std::int64_t seq = 64;
    std::vector<std::int64_t> lengths{512, 1024};
    double rate = 1e-3;
    std::string data = "synthetic";
    Colour colour = Colour::red;
};

FlagTable table_of(Options& options) {
    FlagTable table;
    table.integer("--seq", options.seq, 1, 4096, "sequence length")
        .integers("--lengths", options.lengths, 1, 4096, "lengths to time")
        .positive("--lr", options.rate, "learning rate")
        .text("--data", options.data, "FILE", "training data")
        .choice("--colour", options.colour, {{"red", Colour::red}, {"green", Colour::green}}, "a colour");
    return table;
}

std::optional<std::string> error_of(const std::vector<std::string>& args) {
    Options options;
    return table_of(options).parse(args);
}

TEST(Flags, AssignEveryKindOfValueInBothSpellings) {
    Options options;
    FlagTable table = table_of(options);
    const std::vector<std::string> args{
        "--seq", "128", "--lengths=1,2,3", "--lr", "0.5", "--data=a b.txt", "--colour", "green"};
    EXPECT_EQ(table.parse(args), std::nullopt);
    EXPECT_EQ(options.seq, 128);
    EXPECT_THAT(options.lengths, ElementsAre(1, 2, 3));
    EXPECT_EQ(options.rate, 0.5);
    EXPECT_EQ(options.data, "a b.txt");
    EXPECT_EQ(options.colour, Colour::green);
}

TEST(Flags, KeepTheDefaultsOfWhatIsNotGiven) {
    Options options;
    FlagTable table = table_of(options);
    const std::vector<std::string> args{"--seq", "65"};
    EXPECT_EQ(table.parse(args), std::nullopt);
    EXPECT_EQ(options.seq, 65);
    EXPECT_EQ(options.rate, 1e-3);
    EXPECT_EQ(options.data, "synthetic");
}

TEST(Flags, NameTheNearestFlagWhenOneIsUnknown) {
    EXPECT_EQ(error_of({"--sek", "1"}), "unknown flag --sek (did you mean --seq?)");
    EXPECT_EQ(error_of({"--zzzzzzzzz=1"}), "unknown flag --zzzzzzzzz; see --help");
}

TEST(Flags, NameTheNearestChoice) {
    EXPECT_EQ(error_of({"--colour", "gren"}),
              "--colour expects one of red, green (did you mean green?), got \"gren\"");
}

TEST(Flags, RefuseValuesOutOfRangeOrWithRubbishBehindThem) {
    const auto expected = Optional(HasSubstr("--seq expects an integer from 1 to 4096, got"));
    for (const char* bad : {"0", "4097", "-1", "12x", "1.5", "", " 1", "99999999999999999999"}) {
        EXPECT_THAT(error_of({"--seq", bad}), expected) << '"' << bad << '"';
    }
    for (const char* bad : {"0", "-1", "nan", "inf", "1e", "x"}) {
        EXPECT_THAT(error_of({"--lr", bad}), Optional(HasSubstr("--lr expects a number greater than 0")))
            << bad;
    }
}

TEST(Flags, RefuseListsWithHoles) {
    for (const char* bad : {"", ",", "1,", ",1", "1,,2", "1;2"}) {
        EXPECT_THAT(error_of({"--lengths", bad}),
                    Optional(HasSubstr("--lengths expects integers from 1 to 4096, separated by commas")))
            << '"' << bad << '"';
    }
}

TEST(Flags, RefuseMissingValuesDoubledFlagsAndStrayWords) {
    EXPECT_EQ(error_of({"--seq"}), "--seq needs a value: N");
    EXPECT_EQ(error_of({"--seq", "1", "--seq=2"}), "--seq is given twice");
    EXPECT_EQ(error_of({"seq"}), "unexpected argument \"seq\": every option is --flag VALUE");
    EXPECT_EQ(error_of({"--data="}), "--data expects FILE, not an empty text, got \"\"");
}

TEST(Flags, HelpShowsEveryFlagWithWhatItTakesAndItsDefault) {
    Options options;
    const std::string help = table_of(options).help();
    EXPECT_THAT(help, AllOf(HasSubstr("--seq N"), HasSubstr("sequence length [64]"),
                            HasSubstr("--lengths N,N,..."), HasSubstr("[512,1024]"), HasSubstr("[0.001]"),
                            HasSubstr("--colour red|green"), HasSubstr("a colour [red]")));
}

TEST(Nearest, OffersNothingForAnotherWord) {
    const std::vector<std::string> words{"parity", "probe", "version"};
    EXPECT_EQ(nearest("partiy", words), "parity");
    EXPECT_EQ(nearest("prob", words), "probe");
    EXPECT_EQ(nearest("train", words), std::nullopt);
    const std::vector<std::string> devices{"auto", "cpu", "cuda"};
    EXPECT_EQ(nearest("gpu", devices), std::nullopt);
}

}  // namespace
}  // namespace nsa::core::tools
