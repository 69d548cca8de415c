#include "language/yaml/reader.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "language/kind.hpp"
#include "language/plan.hpp"

namespace nsa::language {
namespace {

using testing::ElementsAre;

ExperimentSpec read(std::string_view yaml) {
    Result<ExperimentSpec> spec = parse_spec(yaml, "x.yaml");
    EXPECT_TRUE(spec) << spec.error().describe();
    return spec ? std::move(*spec) : ExperimentSpec{};
}

ExperimentSpec read_with_step(const std::string& step) {
    return read("version: 1\nname: x\nsteps:\n  - " + step);
}

TEST(ReaderTest, ReadsEveryKeyOfTheLanguage) {
    const ExperimentSpec spec = read(R"(
version: 1
name: full-example_1
subject: Everything at once
code: {repo: "https://example.org/r.git", ref: main, commit: 0123abc}
target: {gpu: "A100:80GB", count: 2, engine: ssh, instance: box-1}
env: {OMP_NUM_THREADS: 2, NSA_SDPA_AUDIT: 1}
setup:
  - [make, -j, 2]
matrix:
  S: [512, 1024]
timeouts: {queue: 1h, provision: 2m, setup: 3m, run: 90s, silence: 500ms, pull: 1d}
retry: {on: [infra, no_capacity, interruption], max: 3}
report: {subject: Title, role: Author}
steps:
  - id: build
    run: [make, all]
  - id: bench
    kind: command
    title: Bench at ${{ matrix.S }}
    needs: [build]
    env: {SIZE: "${{ matrix.S }}"}
    run: [./bench, "${{ matrix.S }}"]
    timeout: 5m
    silence: off
    artifacts: ["*.csv", out/log.txt]
    metrics:
      - {parse: csv, from: out.csv, columns: [ms], labels: [S], units: {ms: ms}}
      - {parse: regex, pattern: 'ms=(\S+)', metric: ms2, unit: ms}
      - {parse: junit, from: junit.xml}
      - {parse: jsonl}
    checks: [ms < 5 ms]
    xfail: {owner: anna, reason: slow host, expires: 2027-02-28}
)");
    EXPECT_EQ(spec.name, "full-example_1");
    EXPECT_EQ(spec.subject, "Everything at once");
    EXPECT_EQ(spec.code, (Code{"https://example.org/r.git", "main", "0123abc", {}}));
    EXPECT_EQ(spec.target, (Target{"A100:80GB", 2, EngineKind::kSsh, "box-1"}));
    EXPECT_EQ(spec.env,
              (std::map<std::string, std::string>{{"OMP_NUM_THREADS", "2"}, {"NSA_SDPA_AUDIT", "1"}}));
    EXPECT_THAT(spec.setup, ElementsAre(ElementsAre("make", "-j", "2")));
    EXPECT_EQ(spec.matrix.at("S"), (std::vector<Scalar>{std::int64_t{512}, std::int64_t{1024}}));
    using namespace std::chrono_literals;
    EXPECT_EQ(spec.timeouts, (Timeouts{1h, 2min, 3min, 90s, 500ms, 24h}));
    EXPECT_EQ(spec.retry,
              (Retry{{FailureClass::kInfra, FailureClass::kNoCapacity, FailureClass::kInterruption}, 3}));
    EXPECT_EQ(spec.report, (Report{"Title", "Author"}));
    ASSERT_EQ(spec.steps.size(), 2U);
    const Step& step = spec.steps[1];
    EXPECT_EQ(spec.steps[0].kind, "command") << "'run' alone makes a command";
    EXPECT_EQ(step.id, "bench");
    EXPECT_EQ(step.source, "x.yaml:18:5");
    EXPECT_THAT(step.needs, ElementsAre("build"));
    EXPECT_THAT(step.run, ElementsAre("./bench", "${{ matrix.S }}"));
    EXPECT_EQ(step.timeout, Duration(5min));
    EXPECT_EQ(step.silence, Duration::zero());
    EXPECT_THAT(step.artifacts, ElementsAre("*.csv", "out/log.txt"));
    ASSERT_EQ(step.metrics.size(), 4U);
    EXPECT_EQ(step.metrics[0],
              (OutputParser{ParserKind::kCsv, "out.csv", "", "", "", {"ms"}, {"S"}, {{"ms", "ms"}}}));
    EXPECT_EQ(step.metrics[1],
              (OutputParser{ParserKind::kRegex, "stdout", "ms=(\\S+)", "ms2", "ms", {}, {}, {}}));
    EXPECT_EQ(step.metrics[2].kind, ParserKind::kJunit);
    EXPECT_EQ(step.metrics[3].kind, ParserKind::kJsonLines);
    EXPECT_EQ(step.xfail, (Waiver{"anna", "slow host", "2027-02-28"}));
    EXPECT_EQ(step.checks[0].source, "x.yaml:32:14");
}

TEST(ReaderTest, WhatIsLeftOutHasItsDocumentedDefault) {
    const ExperimentSpec spec = read_with_step("{id: a, run: [x]}");
    EXPECT_EQ(spec.timeouts, Timeouts{});
    EXPECT_EQ(spec.target, (Target{"any", 1, std::nullopt, ""}));
    EXPECT_EQ(spec.retry.max, 0);
    EXPECT_FALSE(spec.steps[0].timeout);
    EXPECT_EQ(read("version: 1\nname: x\ntarget: {instance: 8xH100.lab_2}\nsteps: [{id: a, run: [x]}]")
                  .target.instance,
              "8xH100.lab_2")
        << "whatever can be registered can be named";
    EXPECT_EQ(read("version: 1\nname: x\ntarget: {engine: any}\nsteps: [{id: a, run: [x]}]").target.engine,
              std::nullopt);
}

CheckRule rule_of(const std::string& check) {
    const ExperimentSpec spec = read_with_step("{id: a, run: [x], checks: [" + check + "]}");
    return spec.steps.empty() || spec.steps[0].checks.empty() ? CheckRule{} : spec.steps[0].checks[0].rule;
}

TEST(ReaderTest, ReadsEveryFormOfACheck) {
    EXPECT_EQ(rule_of("mae <= 2e-4"),
              CheckRule(ThresholdCheck{"mae", Op::kLessEqual, 2e-4, "", Aggregate::kMedian, 0}));
    EXPECT_EQ(rule_of("max(step_ms) < 50 ms"),
              CheckRule(ThresholdCheck{"step_ms", Op::kLess, 50, "ms", Aggregate::kMax, 0}));
    EXPECT_EQ(rule_of("tok.s >= -1.5 tok/s"),
              CheckRule(ThresholdCheck{"tok.s", Op::kGreaterEqual, -1.5, "tok/s", Aggregate::kMedian, 0}));
    EXPECT_EQ(rule_of("each(n) == 0"),
              CheckRule(ThresholdCheck{"n", Op::kEqual, 0, "", Aggregate::kEach, 0}));
    EXPECT_EQ(rule_of("{check: last(x) > 1 1, tolerance: 5%}"),
              CheckRule(ThresholdCheck{"x", Op::kGreater, 1, "1", Aggregate::kLast, 0.05}));
    EXPECT_EQ(rule_of("{identity: t, parts: [a, b], tolerance: 0.1}"),
              CheckRule(IdentityCheck{"t", {"a", "b"}, 0.1}));
    EXPECT_EQ(rule_of("{finite: loss}"), CheckRule(FiniteCheck{{"loss"}}));
    EXPECT_EQ(rule_of("{finite: [loss, x]}"), CheckRule(FiniteCheck{{"loss", "x"}}));
    EXPECT_EQ(rule_of("{min_samples: 9, metric: m}"), CheckRule(MinSamplesCheck{"m", 9}));
    EXPECT_EQ(rule_of("{trend: loss, direction: decreasing}"),
              CheckRule(TrendCheck{"loss", Direction::kDecreasing}));
    EXPECT_EQ(rule_of("{fact: route_taken, equals: sdpa}"), CheckRule(FactCheck{"route_taken", "sdpa"}));
    EXPECT_EQ(rule_of("{fact: torch_version, at_least: 2.10}"),
              CheckRule(RequirementCheck{"torch_version", "2.10"}));
    EXPECT_EQ(rule_of("{fact: gpu_name, present: true}"), CheckRule(RequirementCheck{"gpu_name", ""}));
}

TEST(ReaderTest, LevelsOtherThanGateAreAskedFor) {
    const ExperimentSpec spec = read_with_step(
        "{id: a, run: [x], checks: [{check: a < 1, level: info}, {finite: a, level: warn}, a < 2]}");
    std::vector<Level> levels;
    for (const Check& check : spec.steps[0].checks)
        levels.push_back(check.level);
    EXPECT_THAT(levels, ElementsAre(Level::kInfo, Level::kWarn, Level::kGate));
}

Scalar matrix_value(const std::string& written) {
    const ExperimentSpec spec = read("version: 1\nname: x\nmatrix: {k: [" + written +
                                     "]}\nsteps: [{id: a, run: [\"${{ matrix.k }}\"]}]");
    return spec.matrix.contains("k") ? spec.matrix.at("k")[0] : Scalar(std::string("unread"));
}

TEST(PlainScalarTest, TypesFollowTheLanguageNotYaml11) {
    EXPECT_EQ(matrix_value("12"), Scalar(std::int64_t{12}));
    EXPECT_EQ(matrix_value("-7"), Scalar(std::int64_t{-7}));
    EXPECT_EQ(matrix_value("0"), Scalar(std::int64_t{0}));
    EXPECT_EQ(matrix_value("2.5"), Scalar(2.5));
    EXPECT_EQ(matrix_value("1e3"), Scalar(1000.0));
    EXPECT_EQ(matrix_value("9223372036854775808"), Scalar(9223372036854775808.0));
    EXPECT_EQ(matrix_value("true"), Scalar(true));
    for (const char* text : {"012", "0x10", "1_000", "yes", "no", "on", "off", "True", ".5", "5.", "+5",
                             "1:30", ".inf", ".nan", "1e400", "0o7"}) {
        EXPECT_EQ(matrix_value(text), Scalar(std::string(text))) << text;
    }
    EXPECT_EQ(matrix_value("'12'"), Scalar(std::string("12")));
    EXPECT_EQ(matrix_value("\"true\""), Scalar(std::string("true")));
}

TEST(PlainScalarTest, AVersionKeepsItsZero) {
    const ExperimentSpec spec = read_with_step("{id: a, kind: env_check, params: {torch_min: 2.10}}");
    EXPECT_EQ(make_plan(spec, "")->cases[0].checks[0].id, "torch_version >= 2.10");
}

TEST(ReaderTest, ByteOrderMarkCarriageReturnsAndUnicodeAreFine) {
    const ExperimentSpec spec = read(
        "\xEF\xBB\xBFversion: 1\r\nname: x\r\nsubject: \"Größe 試験\"\r\nsteps:\r\n  - {id: a, run: "
        "[x]}\r\n");
    EXPECT_EQ(spec.subject, "Größe 試験");
}

TEST(ReaderTest, ShellCharactersInArgumentsStayAsTheyAre) {
    const ExperimentSpec spec =
        read_with_step(R"yaml({id: a, run: [echo, "$(rm -rf /)", "; x", "`y`", '"', "a\nb", ""]})yaml");
    EXPECT_THAT(spec.steps[0].run, ElementsAre("echo", "$(rm -rf /)", "; x", "`y`", "\"", "a\nb", ""));
}

TEST(SchemaTest, IsJsonThatKnowsEveryKindAndParam) {
    const boost::json::value schema = boost::json::parse(json_schema());
    EXPECT_EQ(schema.at("$schema"), "https://json-schema.org/draft/2020-12/schema");
    EXPECT_EQ(schema.at("additionalProperties"), false);
    const boost::json::value& step = schema.at("$defs").at("step");
    const boost::json::array& rules = step.at("allOf").as_array();
    ASSERT_EQ(rules.size(), step_kinds().size());
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const StepKind& kind = *step_kinds()[i];
        EXPECT_EQ(step.at("properties").at("kind").at("enum").at(i).as_string(), kind.name());
        EXPECT_EQ(rules[i].at("if").at("properties").at("kind").at("const").as_string(), kind.name());
        const boost::json::object& params =
            rules[i].at("then").at("properties").at("params").at("properties").as_object();
        EXPECT_EQ(params.size(), kind.params().size()) << kind.name();
        for (const ParamSchema& param : kind.params())
            EXPECT_TRUE(params.contains(param.name)) << param.name;
    }
}

}  // namespace
}  // namespace nsa::language
