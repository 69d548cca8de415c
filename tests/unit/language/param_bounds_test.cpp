// Numbers that no run could use, in every kind: refused where they stand, with what would be right.
#include <gmock/gmock.h>

#include "language/kind.hpp"
#include "language/params.hpp"
#include "language/yaml/reader.hpp"

namespace nsa::language {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

// What `nsactl validate` says about a step whose one param of interest stands in line 8.
std::string fault_of(const StepKind& kind, std::string_view param, const std::string& value) {
    std::string spec = "version: 1\nname: x\nsteps:\n  - id: a\n    kind: " + std::string(kind.name()) +
                       "\n    checks: [exponent <= 1]\n    params:\n      " + std::string(param) + ": " +
                       value + "\n";
    for (const ParamSchema& other : kind.params()) {
        if (other.required && other.name != param)
            spec += "      " + std::string(other.name) + ": " +
                    std::string(other.one_of.substr(0, other.one_of.find('|'))) + "\n";
    }
    const Result<ExperimentSpec> read = parse_spec(spec, "f");
    return read ? "no error" : read.error().text;
}

std::string at(std::string_view param) {
    return "f:8:" + std::to_string(9 + param.size()) + ": param '" + std::string(param) + "': ";
}

TEST(ParamBoundsTest, ANumberThatIsTooSmallTooLargeOrNoneIsRefusedAtItsPlace) {
    int bounded = 0;
    for (const StepKind* kind : step_kinds()) {
        for (const ParamSchema& param : kind->params()) {
            if (param.type != ParamType::kInt) continue;
            SCOPED_TRACE(std::string(kind->name()) + ", " + std::string(param.name));
            const std::string place = at(param.name) + "expected a whole number ";
            for (const std::string value : {"-1", "1.5", "many", "99999999999999999999"})
                EXPECT_THAT(fault_of(*kind, param.name, value), StartsWith(place));
            EXPECT_THAT(fault_of(*kind, param.name, std::to_string(param.least - 1)), StartsWith(place));
            if (param.most == ParamSchema{}.most) continue;
            EXPECT_THAT(fault_of(*kind, param.name, std::to_string(param.most + 1)),
                        StartsWith(place + "from " + std::to_string(param.least) + " to " +
                                   std::to_string(param.most) + ", found"));
            ++bounded;
        }
    }
    EXPECT_GT(bounded, 60);
}

TEST(ParamBoundsTest, AListWithoutANumberOrWithAWrongOneIsRefusedAtItsPlace) {
    std::vector<std::string> lists;
    for (const StepKind* kind : step_kinds()) {
        for (const ParamSchema& param : kind->params()) {
            if (param.type != ParamType::kIntList) continue;
            lists.push_back(std::string(kind->name()) + "." + std::string(param.name));
            SCOPED_TRACE(lists.back());
            const std::string place = at(param.name) + "expected a list of whole numbers from ";
            const std::string least = std::to_string(param.least - 1), most = std::to_string(param.most + 1);
            for (const char* value : {"[]", "['']", "[-64, 128]", "[64, 1.5]", "'64,'", "64;128"})
                EXPECT_THAT(fault_of(*kind, param.name, value), StartsWith(place)) << value;
            for (const std::string& number : {least, most})
                EXPECT_THAT(fault_of(*kind, param.name, "[" + number + "]"), StartsWith(place)) << number;
        }
    }
    EXPECT_THAT(lists, ElementsAre("decode_bench.seq", "memory_scaling.seq", "needle.seq", "needle.depth",
                                   "prefill_bench.seq"));
}

TEST(ParamBoundsTest, ZeroTokensAreRefusedWithAnExample) {
    for (const char* kind : {"decode_bench", "prefill_bench", "memory_scaling"}) {
        EXPECT_THAT(
            fault_of(*find_step_kind(kind), "seq", "[0]"),
            StartsWith("f:8:12: param 'seq': expected a list of whole numbers from 1 to 1048576, like ["))
            << kind;
    }
    EXPECT_THAT(fault_of(*find_step_kind("needle"), "depth", "[50, 101]"),
                StartsWith("f:8:14: param 'depth': expected a list of whole numbers from 0 to 100, like ["));
}

// A number of another sort: a score, a rate, a tolerance.
TEST(ParamBoundsTest, ANumberThatMustBeAboveZeroIsRefusedAtItsPlace) {
    for (const StepKind* kind : step_kinds()) {
        for (const ParamSchema& param : kind->params()) {
            if (param.type != ParamType::kNumber) continue;
            for (const std::string value : {"0", "-0.1", ".nan", ".inf", "'1e999'", "x"})
                EXPECT_THAT(fault_of(*kind, param.name, value),
                            StartsWith(at(param.name) + "expected a number above 0"))
                    << kind->name() << ", " << param.name << ": " << value;
        }
    }
}

}  // namespace
}  // namespace nsa::language
