// Every fault an author can make: its exact place, what is wrong, what would be right, what is near.
#include <gmock/gmock.h>

#include "language/yaml/reader.hpp"

namespace nsa::language {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> faults_of(std::string_view yaml) {
    std::vector<std::string> texts;
    for (const Diagnostic& diagnostic : read_spec(yaml, "f").diagnostics)
        texts.push_back(describe(diagnostic, "f"));
    return texts;
}

struct Fault {
    const char* name;
    std::string yaml;
    std::string text;  // of the only diagnostic, or its beginning when it ends in "..."
};

class FaultTest : public testing::TestWithParam<Fault> {};

TEST_P(FaultTest, IsReportedAtItsPlace) {
    const std::vector<std::string> faults = faults_of(GetParam().yaml);
    ASSERT_EQ(faults.size(), 1U) << testing::PrintToString(faults);
    std::string wanted = GetParam().text, found = faults[0];
    if (wanted.ends_with("...")) {
        wanted.resize(wanted.size() - 3);
        found.resize(std::min(found.size(), wanted.size()));
    }
    EXPECT_EQ(found, wanted);
}

std::string head(const std::string& rest) {
    return "version: 1\nname: x\n" + rest;
}
// Steps start in line 3; the first step's mapping is at 4:5.
std::string step(const std::string& lines) {
    return head("steps:\n  - id: a\n" + lines);
}
std::string command(const std::string& line) {
    return step("    run: [x]\n    " + line + "\n");
}
std::string parity(const std::string& params) {
    return step("    kind: parity\n    checks: [mae <= 1]\n    params: " + params + "\n");
}
const std::string kSteps = "steps: [{id: a, run: [x]}]\n";

INSTANTIATE_TEST_SUITE_P(
    Document, FaultTest,
    testing::Values(
        Fault{"empty", "", "f:1:1: the document is empty; expected an experiment"},
        Fault{"comment_only", "# nothing\n", "f:1:1: the document is empty; expected an experiment"},
        Fault{"text", "hello",
              "f:1:1: the experiment is 'hello'; expected a mapping with version, name, subject, ..."},
        Fault{"list", "- a", "f:1:1: the experiment is a list; expected a mapping with version, ..."},
        Fault{"not_yaml", head("subject: b: c\n"), "f:3:11: not YAML: illegal map value"},
        Fault{"tab_indent", "version: 1\n\tname: x", "f:2:1: not YAML: ..."},
        Fault{"second_document", head(kSteps) + "---\na: 1\n",
              "f:5:1: a second document; expected one experiment in one file"},
        Fault{"unknown_key", head(kSteps + "setps: 1\n"),
              "f:4:1: unknown key 'setps' in the experiment; expected one of version, name, subject, code, "
              "target, env, setup, matrix, "
              "steps, timeouts, retry, repeat, budget, report; did you mean 'steps'?"},
        Fault{"baseline", head(kSteps + "baseline: {ref: r-1}\n"),
              "f:4:1: 'baseline' in the experiment is not available yet; expected checks with fixed values, "
              "like ms_total <= 6.5 ms"},
        Fault{"dirty_word", head("code: {repo: ., dirty: refuse}\n" + kSteps),
              "f:3:24: 'dirty' is 'refuse'; expected one of forbid, record"},
        Fault{"dirty_nowhere", head("code: {commit: abc, dirty: forbid}\n" + kSteps),
              "f:3:7: 'repo' is missing in code; expected the path of a git working tree, for 'dirty'"},
        Fault{"repeat_zero", head("repeat: {n: 0}\n" + kSteps),
              "f:3:13: 'n' is '0'; expected a whole number from 1 to 100"},
        Fault{"interleave_word", head("repeat: {interleave: yes}\n" + kSteps),
              "f:3:22: 'interleave' is 'yes'; expected true or false"},
        Fault{"total_without_hourly", head("budget: {total: 5}\n" + kSteps),
              "f:3:9: 'hourly' is missing in budget; expected the price of an hour, for 'total'"},
        Fault{"price_in_percent", head("budget: {hourly: 5%}\n" + kSteps),
              "f:3:18: 'hourly' is '5%'; expected a price above 0, like 2.49"},
        Fault{"duplicate_key", head("name: y\n" + kSteps),
              "f:3:1: the key 'name' is there twice; expected each key once"},
        Fault{"missing_name", "version: 1\n" + kSteps,
              "f:1:1: 'name' is missing in the experiment; expected name of the experiment"},
        Fault{"missing_steps", head(""),
              "f:1:1: 'steps' is missing in the experiment; expected what is run, in order"},
        Fault{"no_steps", head("steps: []"), "f:3:8: 'steps' is an empty list; expected at least one step"},
        Fault{"steps_no_list", head("steps: x"), "f:3:8: 'steps' is 'x'; expected a list"},
        Fault{"version_two", "version: 2\nname: x\n" + kSteps,
              "f:1:10: 'version' is '2'; expected a whole number from 1 to 1"},
        Fault{"version_quoted", "version: '1'\nname: x\n" + kSteps,
              "f:1:10: 'version' is '1'; expected a whole number from 1 to 1"},
        Fault{"bad_name", "version: 1\nname: A b\n" + kSteps,
              "f:2:7: 'name' is 'A b'; expected lower-case letters, digits, '_' and '-', a letter first, at "
              "most 64"},
        Fault{"empty_subject", head("subject:\n" + kSteps),
              "f:3:1: 'subject' is nothing; expected one line of text, at most 200 bytes"},
        Fault{"alias", head("subject: *x\n" + kSteps), "f:3:10: not YAML: ..."},
        Fault{"anchor", head("subject: &x y\n" + kSteps),
              "f:3:10: an anchor is not part of the language; expected the value without '&'"},
        Fault{"tag", head("subject: !!str y\n" + kSteps),
              "f:3:10: a tag is not part of the language; expected the value without '!'"},
        Fault{"bare_tag", head("subject: ! y\n" + kSteps),
              "f:3:10: a tag is not part of the language; expected the value without '!'"},
        Fault{"merge_key", head("<<: {a: 1}\n" + kSteps),
              "f:3:1: a merge key is not part of the language; expected the keys themselves"},
        Fault{"list_as_key", head("[a]: 1\n" + kSteps), "f:3:1: a key is a list; expected a name"},
        Fault{"nul_byte", head(std::string("subject: a\0b\n", 13) + kSteps),
              "f:3:11: the control character \\x00; expected UTF-8 text"},
        Fault{"invalid_utf8", head("subject: ü\xff\n" + kSteps),
              "f:3:11: these bytes are not UTF-8; expected UTF-8 text"}),
    [](const auto& fault) { return fault.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Head, FaultTest,
    testing::Values(
        Fault{"gpu", head("target: {gpu: 'A100 80GB:x'}\n" + kSteps),
              "f:3:15: 'gpu' is 'A100 80GB:x'; expected any, none, or a model like A100 or A100:80GB"},
        Fault{"gpu_count", head("target: {count: 0}\n" + kSteps),
              "f:3:17: 'count' is '0'; expected a whole number from 1 to 64"},
        Fault{"engine", head("target: {engine: shh}\n" + kSteps),
              "f:3:18: 'engine' is 'shh'; expected one of any, local, ssh, slurm; did you mean 'ssh'?"},
        Fault{"instance_name", head("target: {instance: Box}\n" + kSteps),
              "f:3:20: 'instance' is 'Box'; expected up to 64 letters, digits and . _ -, a lower-case letter "
              "or "
              "digit first"},
        Fault{"target_key", head("target: {instnace: a}\n" + kSteps),
              "f:3:10: unknown key 'instnace' in target; expected one of gpu, count, engine, instance; did "
              "you mean 'instance'?"},
        Fault{"duration_without_unit", head("timeouts: {run: 90}\n" + kSteps),
              "f:3:17: 'run' is '90'; expected a duration like 90s, 15m or 4h"},
        Fault{"duration_zero", head("timeouts: {run: 0s}\n" + kSteps),
              "f:3:17: 'run' is '0s'; expected a duration like 90s, 15m or 4h"},
        Fault{"duration_off", head("timeouts: {run: off}\n" + kSteps),
              "f:3:17: 'run' is 'off'; expected a duration like 90s, 15m or 4h"},
        Fault{"duration_too_long", head("timeouts: {silence: 9999999999999d}\n" + kSteps),
              "f:3:21: 'silence' is '9999999999999d'; expected a duration like 90s, 15m or 4h, or off"},
        Fault{"retry_class", head("retry: {on: [infr]}\n" + kSteps),
              "f:3:14: 'on' is 'infr'; expected one of infra, no_capacity, interruption; did you mean "
              "'infra'?"},
        Fault{"retry_max", head("retry: {max: 11}\n" + kSteps),
              "f:3:14: 'max' is '11'; expected a whole number from 0 to 10"},
        Fault{"setup_text", head("setup: [make all]\n" + kSteps),
              "f:3:9: 'setup' is 'make all'; expected a list of texts"},
        Fault{"setup_placeholder", head("setup: [['${{ matrix.k }}']]\n" + kSteps),
              "f:3:10: a placeholder outside of a step; expected a fixed value: only steps are expanded"},
        Fault{"env_unknown_flag", head("env: {NSA_USE_FA3: 1}\n" + kSteps),
              "f:3:7: env: unknown flag 'NSA_USE_FA3'; expected one of NSA_USE_FA2, ..."},
        Fault{"env_bad_value", head("env: {NSA_TEST_FA2: yes}\n" + kSteps),
              "f:3:7: env: NSA_TEST_FA2 does not understand 'yes'; expected 0 or 1"},
        Fault{"env_refused", head("env: {LD_PRELOAD: x.so}\n" + kSteps),
              "f:3:7: env: 'LD_PRELOAD' is refused: it changes which code runs on the host; expected a setup "
              "command, or the program's full path in 'run'"},
        Fault{"env_nothing", head("env: {A: }\n" + kSteps),
              "f:3:7: env 'A' is nothing; expected a text or a number; \"\" for an empty one"},
        Fault{"env_contradiction", head("env: {NSA_FA2_FORCE_VARLEN: 1, NSA_FA2_FORCE_DENSE: 1}\n" + kSteps),
              "f:3:6: env: NSA_FA2_FORCE_VARLEN and NSA_FA2_FORCE_DENSE contradict each other; expected at "
              "most one of them as 1"},
        Fault{"matrix_text", head("matrix: x\n" + kSteps),
              "f:3:9: 'matrix' is 'x'; expected a mapping of keys to lists of values"},
        Fault{"matrix_empty", head("matrix: {k: []}\n" + kSteps),
              "f:3:13: matrix key 'k' is an empty list; expected a list of values"},
        Fault{"matrix_twice", head("matrix: {k: [1, '1']}\nsteps: [{id: a, run: ['${{ matrix.k }}']}]"),
              "f:3:17: the matrix value '1' is there twice; expected each value once"},
        Fault{"matrix_bad_value", head("matrix: {k: ['a,b']}\nsteps: [{id: a, run: ['${{ matrix.k }}']}]"),
              "f:3:14: a matrix value is 'a,b'; expected a short value without , = [ ]"},
        Fault{"matrix_unused", head("matrix: {k: [1]}\n" + kSteps),
              "f:3:10: the matrix key 'k' is used by no step; expected ${{ matrix.k }} in a step"}),
    [](const auto& fault) { return fault.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Step, FaultTest,
    testing::Values(
        Fault{"no_mapping", head("steps: [x]"),
              "f:3:9: a step is 'x'; expected a mapping with id, kind, title, ..."},
        Fault{"unknown_key", command("tiemout: 5m"),
              "f:6:5: unknown key 'tiemout' in a step; expected one of id, kind, title, needs, ..."},
        Fault{"bad_id", head("steps: [{id: A, run: [x]}]"),
              "f:3:14: 'id' is 'A'; expected lower-case letters, ..."},
        Fault{"id_twice", head("steps: [{id: a, run: [x]}, {id: a, run: [x]}]"),
              "f:3:33: the step id 'a' is taken; expected each step with its own id"},
        Fault{"no_kind", head("steps: [{id: a}]"),
              "f:3:9: 'kind' is missing in step 'a'; expected one of command, decode_bench, env_check, "
              "gate_health, memory_scaling, needle, parity, prefill_bench, train_smoke, or 'run'"},
        Fault{"unknown_kind", step("    kind: partiy\n"),
              "f:5:11: 'kind' is 'partiy'; expected one of command, decode_bench, env_check, gate_health, "
              "memory_scaling, needle, parity, prefill_bench, train_smoke; did you mean 'parity'?"},
        Fault{"command_without_run", step("    kind: command\n"),
              "f:4:5: 'run' is missing in step 'a'; expected a list of program and arguments"},
        Fault{"run_as_text", step("    run: make test\n"),
              "f:5:10: 'run' is 'make test'; expected a list of program and arguments, like [make, test]; no "
              "shell is involved"},
        Fault{"run_with_nothing", step("    run: [x, ]\n    needs: []\n    timeout: x\n"),
              "f:7:14: 'timeout' is 'x'; expected a duration like 90s, 15m or 4h"},
        Fault{"run_argument", step("    run: [x, [y]]\n"),
              "f:5:14: an argument is a list; expected a text or a number; \"\" for an empty one"},
        Fault{"run_in_parity",
              step("    kind: parity\n    run: [x]\n    checks: [mae < 1]\n    params: {branch: sliding}\n"),
              "f:6:10: 'run' in a step of kind parity; expected kind command, or no 'run'"},
        Fault{"needs_unknown", head("steps: [{id: first, run: [x]}, {id: b, run: [x], needs: fisrt}]"),
              "f:3:57: 'needs' is 'fisrt'; expected an earlier step: first; did you mean 'first'?"},
        Fault{"needs_later", head("steps: [{id: a, run: [x], needs: b}, {id: b, run: [x]}]"),
              "f:3:34: 'needs' is 'b'; expected an earlier step, and there is none"},
        Fault{"artifact_outside", command("artifacts: [../x]"),
              "f:6:17: 'artifacts' is '../x'; expected a path below the step's folder, with * and ?, like "
              "*.csv"},
        Fault{"placeholder_open", command("title: \"${{ matrix.k\""),
              "f:6:12: '${{' without '}}'; expected ${{ matrix.key }}"},
        Fault{"placeholder_unknown", command("env: {A: \"${{ matrix.k }}\"}"),
              "f:6:14: '${{ matrix.k }}': the matrix has no key 'k'; there is no matrix"},
        Fault{"xfail_date", command("xfail: {owner: a, reason: b, expires: 2026-02-30}"),
              "f:6:43: 'expires' is '2026-02-30'; expected a day as YYYY-MM-DD"},
        Fault{"xfail_owner", command("xfail: {reason: b, expires: 2026-02-28}"),
              "f:6:12: 'owner' is missing in xfail of step 'a'; expected who answers for it"},
        Fault{
            "parity_without_gate", step("    kind: parity\n    params: {branch: sliding}\n"),
            "f:4:5: step 'a': a parity step needs a gate that bounds its error, like checks: [mae <= 2e-4]"},
        Fault{"wrong_for_one_case",
              head("matrix: {b: [sliding, slidng]}\nsteps:\n  - id: a\n    kind: parity\n    checks: [mae <= "
                   "1]\n    params: {branch: \"${{ matrix.b }}\"}\n"),
              "f:5:5: step 'a': param 'branch': expected one of sliding, compressed, selected, module, "
              "decode, decode_step, found 'slidng'; did you mean 'sliding'?"}),
    [](const auto& fault) { return fault.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Params, FaultTest,
    testing::Values(
        Fault{"unknown", parity("{branch: sliding, hedas: 4}"),
              "f:7:31: unknown key 'hedas' in the params of kind parity; expected one of branch, route, "
              "device, ..."},
        Fault{"word", parity("{branch: slidng}"),
              "f:7:22: param 'branch': expected one of sliding, compressed, selected, module, decode, "
              "decode_step, found "
              "'slidng'; expected what is tested; did you mean "
              "'sliding'?"},
        Fault{"number", parity("{branch: sliding, heads: four}"),
              "f:7:38: param 'heads': expected a whole number from 1 to 1024, found 'four'; expected query "
              "heads"},
        Fault{"octal", parity("{branch: sliding, heads: 012}"),
              "f:7:38: param 'heads': expected a whole number from 1 to 1024, found '012'; ..."},
        Fault{"negative", parity("{branch: sliding, heads: -4}"),
              "f:7:38: param 'heads': expected a whole number from 1 to 1024, found '-4'; ..."},
        Fault{"nothing", parity("{branch: }"),
              "f:7:14: param 'branch' is nothing; expected a value or a list of values"},
        Fault{"missing", parity("{w: 32}"),
              "f:7:13: param 'branch' is missing in step 'a'; expected what is tested: "
              "sliding|compressed|selected|module|decode|decode_step"},
        Fault{"no_mapping", parity("[sliding]"),
              "f:7:13: the params of kind parity are a list; expected a mapping with branch, ..."},
        Fault{"of_prefill_bench", step("    kind: prefill_bench\n    params: {pass: bakward}\n"),
              "f:6:20: param 'pass': expected one of all, forward, backward, step, found 'bakward'; expected "
              "step: forward and backward in one measurement; did you mean 'backward'?"},
        Fault{"of_needle", step("    kind: needle\n    params: {dept: 5}\n"),
              "f:6:14: unknown key 'dept' in the params of kind needle; expected one of mode, seq, depth, "
              "trials, "
              "strength, tolerance, route, heads, groups, dk, dv, l, d, l_sel, n, w, page, dtype, device, "
              "seed; did you mean 'depth'?"},
        Fault{
            "of_memory_scaling", step("    kind: memory_scaling\n    params: {passes: [prefill, decod]}\n"),
            "f:6:22: param 'passes': expected one of prefill, decode, train, found 'decod'; expected what is "
            "run at each length; did you mean 'decode'?"},
        Fault{"a_word_twice", step("    kind: memory_scaling\n    params: {routes: 'sdpa,sdpa'}\n"),
              "f:6:22: param 'routes': expected every word once, found 'sdpa,sdpa'; ..."},
        Fault{"of_gate_health", step("    kind: gate_health\n    params: {layrs: 2}\n"),
              "f:6:14: unknown key 'layrs' in the params of kind gate_health; expected one of samples, "
              "steps, ..."},
        Fault{
            "of_a_command", command("params: {a: 1}"),
            "f:6:14: unknown key 'a' in the params of kind command; expected no params: this kind has none"}),
    [](const auto& fault) { return fault.param.name; });

std::string check(const std::string& text) {
    return command("checks: [" + text + "]");  // the check starts at 6:14
}

INSTANTIATE_TEST_SUITE_P(
    Checks, FaultTest,
    testing::Values(
        Fault{"no_list", command("checks: mae < 1"), "f:6:13: 'checks' is 'mae < 1'; expected a list"},
        Fault{"no_metric", check("'<= 2'"),
              "f:6:14: the check names no metric: '<= 2'; expected metric op value unit, like 'mae <= 2e-4' "
              "or 'max(step_ms) < 50 ms'"},
        Fault{"no_spaces", check("mae<=2"), "f:6:14: the check names no metric: 'mae<=2'; ..."},
        Fault{"operator", check("mae =< 2"),
              "f:6:14: the check has no comparison: 'mae =< 2'; expected one of < <= > >= == with spaces "
              "around"},
        Fault{"value", check("'mae < 2,5'"),
              "f:6:14: the check compares with '2,5'; expected a decimal number, like 2e-4"},
        Fault{"value_overflow", check("mae < 1e400"),
              "f:6:14: the check compares with '1e400'; expected a decimal number, like 2e-4"},
        Fault{"trailing", check("mae < 2 ms now"),
              "f:6:14: the check goes on after its unit: 'mae < 2 ms now'; ..."},
        Fault{"aggregate", check("medain(mae) < 2"),
              "f:6:14: 'aggregate' is 'medain'; expected one of median, min, max, last, mean, each; did you "
              "mean 'median'?"},
        Fault{"no_rule", check("{finit: loss}"),
              "f:6:15: a check without a rule; expected one of the keys check, identity, finite, "
              "min_samples, trend, fact; did you mean 'finite'?"},
        Fault{"level", check("{finite: loss, level: gates}"),
              "f:6:36: 'level' is 'gates'; expected one of gate, warn, info; did you mean 'gate'?"},
        Fault{"foreign_key", check("{finite: loss, tolerance: 1}"),
              "f:6:29: unknown key 'tolerance' in check 'finite'; expected one of finite, level"},
        Fault{"tolerance", check("{check: a < 1, tolerance: -5%}"),
              "f:6:40: 'tolerance' is '-5%'; expected a number of 0 or more, like 0.05 or 5%"},
        Fault{"identity_parts", check("{identity: t}"),
              "f:6:14: 'parts' is missing in check 'identity'; expected metrics that must add up to it"},
        Fault{"identity_no_parts", check("{identity: t, parts: []}"),
              "f:6:35: 'parts' is an empty list; expected at least one metric"},
        Fault{"min_samples", check("{min_samples: 0, metric: m}"),
              "f:6:28: 'min_samples' is '0'; expected a whole number from 1 to 1000000"},
        Fault{"direction", check("{trend: loss, direction: down}"),
              "f:6:39: 'direction' is 'down'; expected one of decreasing, increasing"},
        Fault{
            "fact_demands", check("{fact: a, equals: b, present: true}"),
            "f:6:14: a check of fact 'a' needs one demand; expected one of equals, at_least, present: true"},
        Fault{"fact_version", check("{fact: a, at_least: new}"),
              "f:6:34: 'at_least' is 'new'; expected a version like 2.6"},
        Fault{"fact_present", check("{fact: a, present: no}"), "f:6:33: 'present' is 'no'; expected true"}),
    [](const auto& fault) { return fault.param.name; });

std::string parser(const std::string& text) {
    return command("metrics: [" + text + "]");  // the parser starts at 6:15
}

INSTANTIATE_TEST_SUITE_P(
    Parsers, FaultTest,
    testing::Values(
        Fault{"no_parse", parser("{from: stdout}"),
              "f:6:15: a parser without 'parse'; expected {parse: csv|junit|jsonl|regex, from: stdout, ...}"},
        Fault{"unknown", parser("{parse: cvs}"),
              "f:6:23: 'parse' is 'cvs'; expected one of csv, junit, jsonl, regex; did you mean 'csv'?"},
        Fault{"outside", parser("{parse: jsonl, from: /etc/passwd}"),
              "f:6:36: 'from' is '/etc/passwd'; expected stdout, stderr, or the path of a file below the "
              "step's folder"},
        Fault{"csv_columns", parser("{parse: csv}"),
              "f:6:15: 'columns' is missing in parser 'csv'; expected columns that become metrics"},
        Fault{"csv_units", parser("{parse: csv, columns: [ms], units: {us: us}}"),
              "f:6:51: 'units' names no column: 'us'; expected one of ms"},
        Fault{"regex_groups", parser("{parse: regex, metric: m, pattern: loss}"),
              "f:6:50: 'pattern': the pattern has 0 groups; expected exactly one, around the number; "
              "expected an RE2 pattern like 'loss=([0-9.e+-]+)'"},
        Fault{"regex_broken", parser("{parse: regex, metric: m, pattern: 'a('}"),
              "f:6:50: 'pattern': not a pattern that RE2 takes: missing ): a(; ..."},
        Fault{"foreign_key", parser("{parse: junit, columns: [a]}"),
              "f:6:30: unknown key 'columns' in parser 'junit'; expected one of parse, from"}),
    [](const auto& fault) { return fault.param.name; });

TEST(FaultsTest, AreReportedAllAtOnceInOrderOfPlace) {
    EXPECT_THAT(
        faults_of("version: 1\nname: X\nsetps: 1\nsteps:\n  - id: a\n    run: [x]\n    needs: b\n    checks: "
                  "[mae < x, mae =< 1]\n  - id: a\n    kind: parity\n"),
        ElementsAre(HasSubstr("f:2:7: 'name' is 'X'"), HasSubstr("f:3:1: unknown key 'setps'"),
                    HasSubstr("f:7:12: 'needs' is 'b'"), HasSubstr("f:8:14: the check compares with 'x'"),
                    HasSubstr("f:8:23: the check has no comparison"),
                    HasSubstr("f:9:5: param 'branch' is missing"),
                    HasSubstr("f:9:9: the step id 'a' is taken")));
}

TEST(FaultsTest, ColumnsCountCharactersNotBytes) {
    EXPECT_THAT(
        faults_of("version: 1\nname: x\nreport: {subject: \"äöü\", rule: x}\nsteps: [{id: a, run: [x]}]"),
        ElementsAre(HasSubstr(
            "f:3:26: unknown key 'rule' in report; expected one of subject, role; did you mean 'role'?")));
}

TEST(FaultsTest, BecomeOneErrorOfAnInvalidSpec) {
    const Result<ExperimentSpec> spec = parse_spec("version: 1\nname: X\nsteps: x\n", "dir/f.yaml");
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().code, ErrorCode::kInvalidSpec);
    EXPECT_EQ(spec.error().describe(),
              "dir/f.yaml:2:7: 'name' is 'X'; expected lower-case letters, digits, '_' and '-', a letter "
              "first, at most 64\n"
              "dir/f.yaml:3:8: 'steps' is 'x'; expected a list");
}

}  // namespace
}  // namespace nsa::language
