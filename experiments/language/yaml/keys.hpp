// The keys of every mapping of the language, with what they take. One table serves the reader (unknown and
// missing keys) and the JSON Schema; docs/spec.md is checked against it by a test. Private to yaml/.
#pragma once

#include <array>
#include <string_view>

namespace nsa::language::yaml {

struct Key {
    std::string_view name;
    std::string_view schema;  // JSON Schema of the value
    std::string_view help;
    bool required = false;
};

inline constexpr std::string_view kText = R"({"type":"string"})";
inline constexpr std::string_view kTexts = R"({"type":"array","items":{"type":"string"}})";
inline constexpr std::string_view kDuration = R"({"type":"string","pattern":"^[0-9]+(ms|s|m|h|d)$"})";
inline constexpr std::string_view kSilence = R"({"type":"string","pattern":"^([0-9]+(ms|s|m|h|d)|off)$"})";
inline constexpr std::string_view kScalarMap =
    R"({"type":"object","additionalProperties":{"$ref":"#/$defs/scalar"}})";
inline constexpr std::string_view kId = R"({"type":"string","pattern":"^[a-z][a-z0-9_-]{0,63}$"})";
inline constexpr std::string_view kLevel = R"({"enum":["gate","warn","info"]})";
inline constexpr std::string_view kTolerance =
    R"({"oneOf":[{"type":"number"},{"type":"string","pattern":"%$"}]})";

inline constexpr std::array kSpecKeys{
    Key{"version", R"({"const":1})", "version of the language: 1", true},
    Key{"name", kId, "name of the experiment", true},
    Key{"subject", kText, "what is tested, in words: the report's title"},
    Key{"code", R"({"$ref":"#/$defs/code"})", "the code under test, as its author states it"},
    Key{"target", R"({"$ref":"#/$defs/target"})", "what the experiment needs to run on"},
    Key{"env", kScalarMap, "environment of the set-up and of every step"},
    Key{"setup", R"({"type":"array","items":{"type":"array","items":{"type":"string"},"minItems":1}})",
        "commands that run before the steps, each a list of program and arguments"},
    Key{"matrix",
        R"({"type":"object","additionalProperties":{"type":"array","minItems":1,"items":{"$ref":"#/$defs/scalar"}}})",
        "values that steps refer to as ${{ matrix.key }}; such a step runs once per combination"},
    Key{"steps", R"({"type":"array","minItems":1,"items":{"$ref":"#/$defs/step"}})", "what is run, in order",
        true},
    Key{"timeouts", R"({"$ref":"#/$defs/timeouts"})", "limits of the run's phases"},
    Key{"retry", R"({"$ref":"#/$defs/retry"})", "when a run is tried again"},
    Key{"repeat", R"({"$ref":"#/$defs/repeat"})", "how often every case is run"},
    Key{"budget", R"({"$ref":"#/$defs/budget"})", "what the run may take of its host at most"},
    Key{"report", R"({"$ref":"#/$defs/report"})", "the report's header"},
};

inline constexpr std::array kCodeKeys{
    Key{"repo", kText, "repository; with dirty: path of a git working tree, relative to the spec"},
    Key{"ref", kText, "branch or tag"},
    Key{"commit", kText, "commit"},
    Key{"dirty", R"({"enum":["forbid","record"]})", "uncommitted edits in repo: refused, or recorded"},
};

inline constexpr std::array kTargetKeys{
    Key{"gpu", kText, "any, none, or a model with memory: A100, A100:80GB"},
    Key{"count", R"({"type":"integer","minimum":1,"maximum":64})", "GPUs"},
    Key{"engine", R"({"enum":["any","local","ssh","slurm"]})", "how the host is reached"},
    Key{"instance", kText, "one registered instance by name; else any that fits"},
};

inline constexpr std::array kTimeoutKeys{
    Key{"queue", kDuration, "waiting for an instance"},
    Key{"provision", kDuration, "connecting and deploying the worker"},
    Key{"setup", kDuration, "all set-up commands together"},
    Key{"run", kDuration, "each step, unless it says less"},
    Key{"silence", kSilence, "no output from a step; off: no such limit"},
    Key{"pull", kDuration, "bringing logs and artifacts home"},
};

inline constexpr std::array kRetryKeys{
    Key{"on", R"({"type":"array","items":{"enum":["infra","no_capacity","interruption"]}})",
        "failure classes"},
    Key{"max", R"({"type":"integer","minimum":0,"maximum":10})", "tries after the first"},
};

inline constexpr std::array kRepeatKeys{
    Key{"n", R"({"type":"integer","minimum":1,"maximum":100})", "judged repetitions of every case"},
    Key{"warmup", R"({"type":"integer","minimum":0,"maximum":100})",
        "repetitions that run first and are not judged"},
    Key{"interleave", R"({"type":"boolean"})", "all cases once, then all again, instead of one case n times"},
};

inline constexpr std::array kBudgetKeys{
    Key{"wall", kDuration, "time on the host"},
    Key{"hourly", R"({"type":"number","exclusiveMinimum":0})", "price of an hour of the host"},
    Key{"total", R"({"type":"number","exclusiveMinimum":0})", "price of the run; needs hourly"},
};

// Words of the language's design that have no effect yet: refused with that reason rather than as unknown.
struct LaterKey {
    std::string_view name, instead;
};
inline constexpr std::array kLaterSpecKeys{
    LaterKey{"baseline", "checks with fixed values, like ms_total <= 6.5 ms"}};

inline constexpr std::array kReportKeys{
    Key{"subject", kText, "title, instead of the experiment's subject"},
    Key{"role", kText, "role named in the title"},
};

inline constexpr std::array kStepKeys{
    Key{"id", kId, "name of the step, unique", true},
    Key{"kind", kText, "step kind; command when 'run' is given"},
    Key{"title", kText, "heading in the report"},
    Key{"needs", R"({"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]})",
        "earlier steps that must have passed"},
    Key{"env", kScalarMap, "environment of this step, over the experiment's"},
    Key{"params", R"({"type":"object"})", "parameters of the kind"},
    Key{"run", R"({"type":"array","items":{"$ref":"#/$defs/scalar"},"minItems":1})",
        "program and arguments of a command step; no shell is involved"},
    Key{"timeout", kDuration, "limit of this step"},
    Key{"silence", kSilence, "limit without output"},
    Key{"artifacts", kTexts, "files of the step's folder to bring home: names with * and ?"},
    Key{"metrics", R"({"type":"array","items":{"$ref":"#/$defs/parser"}})", "parsers of the step's output"},
    Key{"checks", R"({"type":"array","items":{"$ref":"#/$defs/check"}})", "what must hold"},
    Key{"xfail", R"({"$ref":"#/$defs/xfail"})", "waiver of a failure that is known"},
};

inline constexpr std::array kXfailKeys{
    Key{"owner", kText, "who answers for it", true},
    Key{"reason", kText, "why it may fail", true},
    Key{"expires", R"({"type":"string","format":"date"})", "last day it holds, YYYY-MM-DD (UTC)", true},
};

// A check is a text, `metric op value unit`, or one of these mappings, told apart by its first key here.
inline constexpr std::array kTextCheckKeys{
    Key{"check", kText, "the text form", true},
    Key{"tolerance", kTolerance, "relative slack: 0.05 or 5%"},
    Key{"level", kLevel, "gate decides, warn and info are only shown"},
};
inline constexpr std::array kIdentityKeys{
    Key{"identity", kText, "metric that is the total", true},
    Key{"parts", kTexts, "metrics that must add up to it", true},
    Key{"tolerance", kTolerance, "relative; 0: exactly, sample by sample"},
    Key{"level", kLevel, "gate, warn or info"},
};
inline constexpr std::array kFiniteKeys{
    Key{"finite", R"({"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]})",
        "metrics without NaN or infinity", true},
    Key{"level", kLevel, "gate, warn or info"},
};
inline constexpr std::array kMinSamplesKeys{
    Key{"min_samples", R"({"type":"integer","minimum":1})", "fewest samples of each row", true},
    Key{"metric", kText, "of this metric", true},
    Key{"level", kLevel, "gate, warn or info"},
};
inline constexpr std::array kTrendKeys{
    Key{"trend", kText, "metric whose last third is compared with its first", true},
    Key{"direction", R"({"enum":["decreasing","increasing"]})", "where it must go", true},
    Key{"level", kLevel, "gate, warn or info"},
};
inline constexpr std::array kFactKeys{
    Key{"fact", kText, "name of a fact", true},
    Key{"equals", kText, "the value it must have"},
    Key{"at_least", kText, "lowest version it may have, like 2.6"},
    Key{"present", R"({"const":true})", "it must be known and not empty"},
    Key{"level", kLevel, "gate, warn or info"},
};

// A parser, told apart by its value of `parse`.
inline constexpr std::array kCsvKeys{
    Key{"parse", R"({"const":"csv"})", "comma-separated values with a header line", true},
    Key{"from", kText, "stdout, stderr, or a file of the step's folder"},
    Key{"columns", kTexts, "columns that become metrics", true},
    Key{"labels", kTexts, "columns that name the row"},
    Key{"units", R"({"type":"object","additionalProperties":{"type":"string"}})", "unit by column"},
};
inline constexpr std::array kPlainParserKeys{
    Key{"parse", R"({"enum":["junit","jsonl"]})", "JUnit XML, or lines as in NSA_RESULTS", true},
    Key{"from", kText, "stdout, stderr, or a file of the step's folder"},
};
inline constexpr std::array kRegexKeys{
    Key{"parse", R"({"const":"regex"})", "an RE2 pattern", true},
    Key{"from", kText, "stdout, stderr, or a file of the step's folder"},
    Key{"pattern", kText, "with one group, around the number", true},
    Key{"metric", kText, "name of what it measures", true},
    Key{"unit", kText, "its unit"},
};

}  // namespace nsa::language::yaml
