// An experiment as its author wrote it. Values only; yaml/reader.hpp makes them, plan.hpp expands them.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "language/check.hpp"
#include "language/record.hpp"

namespace nsa::language {

using Duration = std::chrono::milliseconds;
// Defaults are those of docs/spec.md.
struct Timeouts {
    Duration queue{std::chrono::hours{24}};
    Duration provision{std::chrono::minutes{15}};
    Duration setup{std::chrono::minutes{30}};
    Duration run{std::chrono::hours{4}};  // wall limit of one step unless the step says less
    Duration silence{Duration::zero()};   // zero: off
    Duration pull{std::chrono::minutes{15}};

    bool operator==(const Timeouts&) const = default;
};

enum class FailureClass { kInfra, kNoCapacity, kInterruption };

struct Retry {
    std::vector<FailureClass> on;  // a threshold FAIL is never retried
    int max = 0;

    bool operator==(const Retry&) const = default;
};

// Every case runs `warmup` times unjudged, then `n` times, each repetition a case of its own.
struct Repeat {
    int n = 1;
    int warmup = 0;
    bool interleave = false;  // all cases once, then all again; else a case's repetitions in a row

    bool is_asked() const { return n > 1 || warmup > 0; }
    bool operator==(const Repeat&) const = default;
};

// What a run may take of its host at the very most. A plan whose limits allow more is refused.
struct Budget {
    Duration wall{Duration::zero()};  // of host time; zero: not limited by time
    double hourly = 0;                // price of an hour of the host, in the author's currency; 0: unknown
    double total = 0;                 // price at most; zero: not limited by price

    bool is_asked() const { return wall.count() > 0 || total > 0; }
    bool operator==(const Budget&) const = default;
};

// What a spec says about uncommitted edits of the code under test.
enum class Dirty { kForbid, kRecord };

// What is under test, as its author states it. Recorded; acted on only where `dirty` asks for it, see
// working_tree.hpp: then `repo` is the path of a git working tree, relative to the spec's folder.
struct Code {
    std::string repo, ref, commit;
    std::optional<Dirty> dirty;  // nothing: nobody looks

    bool operator==(const Code&) const = default;
};

enum class EngineKind { kLocal, kSsh, kSlurm };

struct Target {
    std::string gpu = "any";  // "any", "none", "A100", "A100:80GB"
    int count = 1;
    std::optional<EngineKind> engine;
    std::string instance;  // empty: any ready instance

    bool operator==(const Target&) const = default;
};

// A parameter of a step kind, typed by YAML's plain scalars.
using Scalar = std::variant<bool, std::int64_t, double, std::string>;
using ParamValue = std::variant<Scalar, std::vector<Scalar>>;
using Params = std::map<std::string, ParamValue>;
std::string to_string(const Scalar& scalar);

enum class ParserKind { kCsv, kJunit, kJsonLines, kRegex };

// Turns a file (or "stdout", "stderr") of a command step into measurements.
struct OutputParser {
    ParserKind kind = ParserKind::kJsonLines;
    std::string source = "stdout";             // relative path in the step's folder
    std::string pattern;                       // regex (RE2) with one group; kRegex only
    std::string metric, unit;                  // kRegex
    std::vector<std::string> columns, labels;  // kCsv: value columns and label columns
    std::map<std::string, std::string> units;  // kCsv: unit by column

    bool operator==(const OutputParser&) const = default;
};

struct Waiver {
    std::string owner, reason, expires;  // ISO date, compared with the day of the run

    bool operator==(const Waiver&) const = default;
};

struct Step {
    std::string id, kind, title;
    std::vector<std::string> needs;
    std::map<std::string, std::string> env;
    Params params;
    std::vector<std::string> run;  // argv of kind command
    std::optional<Duration> timeout, silence;
    std::vector<std::string> artifacts;  // globs in the step's folder
    std::vector<OutputParser> metrics;
    std::vector<Check> checks;
    std::optional<Waiver> xfail;
    std::string source;  // file:line:col

    bool operator==(const Step&) const = default;
};

struct Report {
    std::string subject;  // file name and title; default: the spec's subject
    std::string role = "Test Engineer";

    bool operator==(const Report&) const = default;
};

struct ExperimentSpec {
    int version = 1;
    std::string name, subject;
    Code code;
    Target target;
    std::map<std::string, std::string> env;
    std::vector<std::vector<std::string>> setup;  // argv each, run before the steps
    std::map<std::string, std::vector<Scalar>> matrix;
    std::vector<Step> steps;
    Timeouts timeouts;
    Retry retry;
    Repeat repeat;
    Budget budget;
    Report report;

    bool operator==(const ExperimentSpec&) const = default;
};

}  // namespace nsa::language
