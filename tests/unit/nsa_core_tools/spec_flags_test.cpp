// A param that `nsactl validate` takes must be one that nsa-core takes, and the other way round: the spec's
// tables of the kinds (experiments/language/kinds) against nsa-core's flags, in bounds, words and defaults.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "language/kind.hpp"
#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/bench/memory_scaling.hpp"
#include "nsa_core/bench/prefill_bench.hpp"
#include "nsa_core/gates/gate_health.hpp"
#include "nsa_core/needle/needle.hpp"
#include "nsa_core/parity/parity.hpp"
#include "nsa_core/train/train_smoke.hpp"

namespace nsa::core {
namespace {

using language::ParamSchema;
using language::ParamType;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

// What nsa-core says to the arguments, empty: it takes them; and its flags.
struct Subcommand {
    std::function<std::string(const std::vector<std::string>&)> refusal;
    std::string help;
};

template <typename Options>
Subcommand subcommand() {
    Options shown;
    tools::FlagTable table;
    add_flags(table, shown);
    return {.refusal =
                [](const std::vector<std::string>& args) {
                    Options options;
                    tools::FlagTable flags;
                    add_flags(flags, options);
                    return flags.parse(args).value_or("");
                },
            .help = table.help()};
}

// By the kind that runs it.
const std::map<std::string_view, Subcommand>& subcommands() {
    static const std::map<std::string_view, Subcommand> all{
        {"decode_bench", subcommand<bench::DecodeBenchOptions>()},
        {"gate_health", subcommand<gates::GateHealthOptions>()},
        {"memory_scaling", subcommand<bench::MemoryScalingOptions>()},
        {"needle", subcommand<needle::NeedleOptions>()},
        {"parity", subcommand<parity::ParityOptions>()},
        {"prefill_bench", subcommand<bench::PrefillBenchOptions>()},
        {"train_smoke", subcommand<train::TrainSmokeOptions>()}};
    return all;
}

const std::set<std::string_view> kOtherKinds{"command", "env_check"};  // run no nsa-core
const std::set<std::string> kChecksOnly{"train_smoke.band"};           // no flag of nsa-core
const std::set<std::string> kFlagsOnly{"parity.positions"};            // no param of a spec

std::string flag_of(const ParamSchema& param) {
    std::string flag = "--" + std::string(param.name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    return flag;
}

std::vector<std::string> words_of(std::string_view text, char between) {
    std::vector<std::string> words;
    for (std::size_t end = 0; end != std::string_view::npos;
         text.remove_prefix(std::min(end + 1, text.size()))) {
        end = text.find(between);
        words.emplace_back(text.substr(0, end));
    }
    return words;
}

// What a line of the help says of a flag.
struct Shown {
    std::string name;
    std::string takes;
    std::string fallback;
};
std::vector<Shown> shown_flags(const std::string& help) {
    std::vector<Shown> flags;
    for (const std::string& line : words_of(help, '\n')) {
        if (line.starts_with("  --")) {
            const std::vector<std::string> words = words_of(line.substr(2), ' ');
            flags.push_back({words[0], words[1], ""});
        }
        if (!flags.empty() && line.ends_with("]"))
            flags.back().fallback = line.substr(line.rfind('[') + 1, line.size() - line.rfind('[') - 2);
    }
    return flags;
}

template <typename Use>
void for_each_param(Use use) {
    for (const language::StepKind* kind : language::step_kinds()) {
        if (kOtherKinds.contains(kind->name())) continue;
        const Subcommand& program = subcommands().at(kind->name());
        const std::vector<Shown> flags = shown_flags(program.help);
        for (const ParamSchema& param : kind->params()) {
            const std::string name = std::string(kind->name()) + "." + std::string(param.name);
            if (kChecksOnly.contains(name)) continue;
            SCOPED_TRACE(name);
            const auto flag = std::find_if(flags.begin(), flags.end(),
                                           [&](const Shown& f) { return f.name == flag_of(param); });
            if (flag == flags.end()) {
                ADD_FAILURE() << "nsa-core has no " << flag_of(param);
                continue;
            }
            use(param, *flag, [&](const std::string& value) {
                return program.refusal({flag_of(param), value});
            });
        }
    }
}

TEST(SpecFlags, WholeNumbersHaveTheSameBounds) {
    int bounded = 0;
    for_each_param([&](const ParamSchema& param, const Shown&, const auto& refusal) {
        if (param.type != ParamType::kInt && param.type != ParamType::kIntList) return;
        EXPECT_THAT(refusal(std::to_string(param.least)), IsEmpty());
        EXPECT_THAT(refusal(std::to_string(param.most)), IsEmpty());
        EXPECT_THAT(refusal(std::to_string(param.least - 1)), HasSubstr("expects")) << param.least - 1;
        EXPECT_THAT(refusal(std::to_string(param.most + 1)), HasSubstr("expects")) << param.most + 1;
        ++bounded;
    });
    EXPECT_GT(bounded, 70);
}

TEST(SpecFlags, OtherNumbersAreAboveZeroForBoth) {
    int numbers = 0;
    for_each_param([&](const ParamSchema& param, const Shown&, const auto& refusal) {
        if (param.type != ParamType::kNumber) return;
        EXPECT_THAT(refusal("1e-9"), IsEmpty());
        EXPECT_THAT(refusal("1e9"), IsEmpty());
        for (const char* none : {"0", "-1", "nan", "inf"})
            EXPECT_THAT(refusal(none), HasSubstr("expects")) << none;
        ++numbers;
    });
    EXPECT_GE(numbers, 3);
}

TEST(SpecFlags, WordsAreTheSame) {
    int chosen = 0;
    for_each_param([&](const ParamSchema& param, const Shown& flag, const auto&) {
        if (param.one_of.empty()) return;
        EXPECT_THAT(words_of(flag.takes, param.type == ParamType::kWordList ? ',' : '|'),
                    UnorderedElementsAreArray(words_of(param.one_of, '|')));
        ++chosen;
    });
    EXPECT_GT(chosen, 30);
}

TEST(SpecFlags, DefaultsAreTheSame) {
    for_each_param([&](const ParamSchema& param, const Shown& flag, const auto&) {
        if (!param.required) {
            EXPECT_EQ(flag.fallback, param.fallback);
        }
    });
}

TEST(SpecFlags, EveryFlagIsAParam) {
    for (const auto& [name, program] : subcommands()) {
        std::set<std::string> params;
        for (const ParamSchema& param : language::find_step_kind(name)->params())
            params.insert(flag_of(param));
        for (const Shown& flag : shown_flags(program.help)) {
            const bool known = params.contains(flag.name) ||
                               kFlagsOnly.contains(std::string(name) + "." + flag.name.substr(2));
            EXPECT_TRUE(known) << name << " has no param for " << flag.name;
        }
    }
}

TEST(SpecFlags, NoKindIsForgotten) {
    for (const language::StepKind* kind : language::step_kinds())
        EXPECT_NE(subcommands().contains(kind->name()), kOtherKinds.contains(kind->name())) << kind->name();
}

}  // namespace
}  // namespace nsa::core
