#include <gmock/gmock.h>

#include <sstream>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;
using ::testing::StartsWith;

using Flags = std::vector<std::string>;
using Parts = std::vector<const char*>;

const Parts kForwardParts{"ms_compress", "ms_cmp", "ms_select", "ms_sel", "ms_win", "ms_combine"};
constexpr std::size_t kSamples = 5;

class PrefillBench : public Program {
  protected:
    // Small, and one thread: several of them wait for one another on a busy machine.
    [[nodiscard]] Ended bench(Flags more, const std::string& seq = "40,100") const {
        Flags args{"prefill-bench",
                   "--seq",
                   seq,
                   "--dim",
                   "32",
                   "--heads",
                   "4",
                   "--groups",
                   "2",
                   "--dk",
                   "8",
                   "--dv",
                   "8",
                   "--l",
                   "8",
                   "--d",
                   "4",
                   "--l-sel",
                   "8",
                   "--n",
                   "4",
                   "--w",
                   "16",
                   "--warmup",
                   "1",
                   "--samples",
                   std::to_string(kSamples)};
        args.insert(args.end(), more.begin(), more.end());
        return run(args, {{"OMP_NUM_THREADS", "1"}});
    }
};

language::Labels row(const std::string& seq, const std::string& pass) {
    return {{"S", seq}, {"pass", pass}};
}

TEST_F(PrefillBench, KeepsEveryRawSampleOfEveryPartAndPass) {
    const Ended ended = bench({});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    for (const char* seq : {"40", "100"}) {
        for (const char* pass : {"forward", "backward", "step"}) {
            EXPECT_THAT(ended.samples("ms_total", row(seq, pass)), AllOf(SizeIs(kSamples), Each(Gt(0))));
            EXPECT_THAT(ended.samples("ms_sdpa", row(seq, pass)), SizeIs(kSamples));
            EXPECT_GT(ended.metric("percent_of_floor", row(seq, pass)), 0);
            EXPECT_GT(ended.metric("peak_memory_bytes", row(seq, pass)), 0);
            EXPECT_THAT(ended.fact("validity", row(seq, pass)), testing::AnyOf("VALID", "DEGRADED"));
            EXPECT_EQ(ended.metric("invalid", row(seq, pass)), 0);
            for (const char* part : kForwardParts) {
                const bool has_gradient = std::string{part} != "ms_select" || std::string{pass} != "backward";
                EXPECT_THAT(ended.samples(part, row(seq, pass)), SizeIs(has_gradient ? kSamples : 0))
                    << part << " " << pass;
            }
        }
        EXPECT_EQ(ended.fact("route_taken", {{"branch", "sliding"}, {"S", seq}}), "sdpa");
    }
    EXPECT_EQ(ended.fact("timer"), "steady_clock");
    EXPECT_THAT(ended.fact("no_fa2", row("40", "forward")), StartsWith("unavailable: "));
}

TEST_F(PrefillBench, ThePartsComputeWhatTheWholeComputesInBothScopes) {
    for (const char* scope : {"attention", "module"})
        for (const char* compressor : {"mean", "mlp"}) {
            const Ended ended =
                bench({"--scope", scope, "--pass", "forward", "--compressor", compressor}, "100");
            ASSERT_EQ(ended.exit_code, 0) << ended.err;
            EXPECT_THAT(ended.metric("parts_error", {{"S", "100"}}), Le(1e-5)) << scope << ", " << compressor;
        }
}

TEST_F(PrefillBench, TheModuleHasAProjectionToo) {
    const Ended ended = bench({"--scope", "module"}, "40");
    for (const char* pass : {"forward", "backward", "step"})
        EXPECT_THAT(ended.samples("ms_project", row("40", pass)), SizeIs(kSamples));
    EXPECT_THAT(ended.samples("ms_sdpa", row("40", "forward")), IsEmpty())
        << "a layer against attention alone";
    EXPECT_EQ(ended.fact("scope"), "module");
}

// 32 tokens have 4 blocks and every token chooses all it sees, so 8 neighbours name each block 8 times.
TEST_F(PrefillBench, CountsTheBlocksThatNeighboursShare) {
    const Ended ended = bench({"--pass", "forward", "--peers", "off"}, "32");
    EXPECT_EQ(ended.metric("unique_blocks_8", row("32", "forward")), 0.125);
}

TEST_F(PrefillBench, CorrelatedQueriesShareMoreBlocks) {
    const Flags one_pass{"--pass", "forward", "--peers", "off"};
    Flags alike = one_pass;
    alike.insert(alike.end(), {"--queries", "correlated"});
    const double independent = bench(one_pass, "512").metric("unique_blocks_8", row("512", "forward"));
    const double correlated = bench(alike, "512").metric("unique_blocks_8", row("512", "forward"));
    EXPECT_LT(correlated, 0.8 * independent);
    EXPECT_THAT(correlated, AllOf(Ge(0.125), Le(1)));
}

TEST_F(PrefillBench, WritesOneCsvRowForEachLengthAndPass) {
    const Ended ended = bench({"--peers", "off"});
    std::istringstream csv{text_of("prefill.csv")};
    std::string line;
    std::getline(csv, line);
    EXPECT_THAT(line, StartsWith("pass,validity,"));
    for (const char* seq : {"40", "100"}) {
        for (const char* pass : {"forward", "backward", "step"}) {
            std::getline(csv, line);
            EXPECT_THAT(line, AllOf(StartsWith(pass), HasSubstr(std::string(",") + seq + ",1,")));
        }
    }
    EXPECT_FALSE(std::getline(csv, line));
    EXPECT_THAT(text_of("prefill.json"), HasSubstr(R"("pass": "backward")"));
    EXPECT_THAT(ended.out, HasSubstr("S=100 backward: "));
}

TEST_F(PrefillBench, TakesTheRatesOfTheFloorFromFlags) {
    const Ended ended = bench({"--pass", "forward", "--bandwidth", "100", "--tflops", "1"}, "40");
    EXPECT_EQ(ended.metric("bandwidth"), 100);
    EXPECT_EQ(ended.fact("tensor_rate_source"), "flag");
}

TEST_F(PrefillBench, ARouteThatIsNotThereIsSkippedWithTheReasonAndMeasuresNothing) {
    for (const char* route : {"cuda", "fa2_dense", "fa2_varlen"}) {
        const Ended ended = bench({"--route", route});
        EXPECT_EQ(ended.exit_code, 77);
        EXPECT_THAT(ended.skip().value_or(""),
                    HasSubstr(std::string("route ") + route + " is unavailable: "));
        EXPECT_THAT(ended.samples("ms_total"), IsEmpty());
        EXPECT_FALSE(std::filesystem::exists(folder_ / "prefill.csv"));
    }
}

TEST_F(PrefillBench, FlagsThatWouldChangeWhatIsTimedAreRefused) {
    for (const auto& [variable, value] : Environment{{"NSA_FORCE_BRANCH", "win"}, {"NSA_SDPA_AUDIT", "1"}}) {
        const Ended ended = run({"prefill-bench"}, {{variable, value}});
        EXPECT_EQ(ended.exit_code, 2);
        EXPECT_THAT(ended.err, HasSubstr(variable));
    }
}

TEST_F(PrefillBench, AFlagThatContradictsTheRouteIsRefused) {
    const Ended ended = run({"prefill-bench", "--route", "fa2_dense"}, {{"NSA_USE_FA2_WIN", "0"}});
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_THAT(ended.err, HasSubstr("NSA_USE_FA2_WIN=0 forbids"));
}

}  // namespace
}  // namespace nsa::core
