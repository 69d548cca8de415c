// Test Results: one numbered subsection per group of steps. Parity cases of one branch form a group, other
// cases one per kind; the tables come first, then every case with its command.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>

#include "language/text.hpp"
#include "reports/page.hpp"

namespace nsa::reports {

namespace {

using language::CheckResult;
using language::EndKind;
using language::Verdict;

struct Group {
    std::string id, kind, branch;
    std::vector<const CaseFacts*> cases;
};

std::vector<Group> groups_of(const RunFacts& facts) {
    std::vector<Group> groups;
    for (const CaseFacts& one : facts.cases) {
        const std::string branch = one.planned.kind == "parity" ? param_of(one, "branch") : "";
        // Commands have nothing in common but their kind: each step stands alone.
        const std::string id =
            one.planned.kind + "/" + (one.planned.kind == "command" ? one.planned.step : branch);
        auto group =
            std::find_if(groups.begin(), groups.end(), [&](const Group& known) { return known.id == id; });
        if (group == groups.end()) group = groups.insert(groups.end(), {id, one.planned.kind, branch, {}});
        group->cases.push_back(&one);
    }
    return groups;
}

// Kinds whose cases share a heading and a table of their own.
struct KindSection {
    std::string_view kind, title;
    std::string (*table)(const std::vector<const CaseFacts*>&);  // null: none
};
constexpr KindSection kKindSections[] = {
    {"parity", "", parity_table},
    {"decode_bench", "Decode Benchmark", decode_table},
    {"env_check", "Environment Check", nullptr},
    {"gate_health", "Gate Health", gate_table},
    {"memory_scaling", "Memory Scaling", memory_table},
    {"needle", "Needle in a Long Context", needle_table},
    {"prefill_bench", "Prefill Benchmark", prefill_table},
    {"train_smoke", "Training Smoke Test", training_table},
};

// Null: the kind has no section of its own.
const KindSection* section_of(std::string_view kind) {
    const auto found = std::find_if(std::begin(kKindSections), std::end(kKindSections),
                                    [&](const KindSection& section) { return section.kind == kind; });
    return found == std::end(kKindSections) ? nullptr : found;
}

bool has_table(std::string_view kind) {
    const KindSection* section = section_of(kind);
    return section != nullptr && section->table != nullptr;
}

std::string title_of(const Group& group) {
    if (group.kind == "parity") return "Parity of '" + group.branch + "'";
    const KindSection* section = section_of(group.kind);
    return section != nullptr ? std::string(section->title) : name_of(*group.cases.front());
}

// The same algebra as for the whole run, so that a group never sounds better or worse than its gates.
std::string group_status(const Group& group) {
    std::vector<language::GateOutcome> gates;
    bool cancelled = false;
    std::size_t passed = 0;
    for (const CaseFacts* one : group.cases) {
        gates.push_back(one->judgement.gate());
        cancelled = cancelled || one->judgement.verdict == Verdict::kCancelled;
        if (one->judgement.verdict == Verdict::kPass) ++passed;
    }
    return "**Status**: **" + escape(to_string(language::status_of(gates, cancelled))) + "** - " +
           std::to_string(passed) + " of " + plural(group.cases.size(), "case") + " passed\n\n";
}

std::string group_table(const Group& group) {
    return has_table(group.kind) ? section_of(group.kind)->table(group.cases) : std::string{};
}

std::string value_cell(const std::optional<double>& value, const std::string& unit) {
    if (!value) return "-";
    return number(*value) + (unit.empty() || unit == "1" ? "" : " " + escape(unit));
}

std::optional<double> number_in(const std::string& label) {
    char* end = nullptr;
    const double value = std::strtod(label.c_str(), &end);
    if (label.empty() || *end != '\0' || std::isnan(value)) return std::nullopt;
    return value;
}

// S=512 before S=1024: numbers by value, then everything else as text. One order for any mixture.
bool label_less(const std::string& a, const std::string& b) {
    const std::optional<double> left = number_in(a), right = number_in(b);
    if (left.has_value() != right.has_value()) return left.has_value();
    return left && *left != *right ? *left < *right : a < b;
}

// The rows of one check follow each other by their labels; the checks keep their order.
std::vector<CheckResult> in_reading_order(std::vector<CheckResult> checks) {
    const auto row_less = [](const CheckResult& a, const CheckResult& b) {
        return std::lexicographical_compare(
            a.row.begin(), a.row.end(), b.row.begin(), b.row.end(), [](const auto& x, const auto& y) {
                return x.first != y.first ? x.first < y.first : label_less(x.second, y.second);
            });
    };
    for (auto first = checks.begin(); first != checks.end();) {
        const auto last = std::find_if(first, checks.end(),
                                       [&](const CheckResult& other) { return other.check != first->check; });
        std::stable_sort(first, last, row_less);
        first = last;
    }
    return checks;
}

std::string check_table(const CaseFacts& one) {
    if (one.judgement.checks.empty()) return {};
    Table table({{"Check"},
                 {"Row"},
                 {"Level"},
                 {"Measured", true},
                 {"Threshold", true},
                 {"Samples", true},
                 {"Verdict"},
                 {"Detail"}});
    for (const CheckResult& check : in_reading_order(one.judgement.checks)) {
        const std::string row = language::format_labels(check.row);
        // Checks that ask for no number of samples (finite, facts) count none.
        const std::string samples =
            check.samples == 0 && check.samples_expected == 0
                ? "-"
                : std::to_string(check.samples) +
                      (check.samples_expected > 0 ? " of " + std::to_string(check.samples_expected) : "");
        table.add({escape(check.check), row.empty() ? "-" : escape(row), std::string(to_string(check.level)),
                   value_cell(check.measured, check.unit), value_cell(check.limit, check.unit), samples,
                   verdict_word(check.verdict), check.detail.empty() ? "-" : escape(check.detail)});
    }
    return table.text();
}

std::string end_text(const CaseFacts& one) {
    if (!one.end) return one.argv.empty() ? "never started" : "its end is unknown";
    std::string text = end_of(*one.end) + " after " + seconds(one.seconds);
    if (one.max_rss_kib > 0)
        text += ", its largest process had " + bytes(static_cast<std::uint64_t>(one.max_rss_kib) * 1024) +
                " of memory";
    return text;
}

// One line for each branch and way; the same at every sequence length is said once.
std::string routes_text(const CaseFacts& one) {
    std::string out;
    std::set<std::string> said;
    for (const language::Fact& fact : one.facts) {
        if (fact.name != "route_taken") continue;
        language::Labels branch = fact.labels;
        branch.erase("S");
        const std::string where = language::format_labels(branch);
        const auto beside = [&](std::string_view name) {
            for (const language::Fact& other : one.facts) {
                if (other.name == name && other.labels == fact.labels) return other.value;
            }
            return std::string{};
        };
        const std::string asked = beside("route_asked"), reason = beside("route_reason");
        const std::string line = "- Route" + (where.empty() ? "" : " (" + escape(where) + ")") + ": asked " +
                                 escape(asked.empty() ? "not said" : asked) + ", taken " +
                                 escape(fact.value) + (reason.empty() ? "" : ", because " + escape(reason)) +
                                 "\n";
        if (said.insert(line).second) out += line;
    }
    return out;
}

// Metrics of a parity case that its group's table has no column for.
std::string further_metrics(const CaseFacts& one) {
    std::string out;
    for (const Series& series : one.series) {
        const bool in_table = series.metric == "mae" || series.metric == "max_abs" ||
                              series.metric == "rel_l2" || series.metric == "baseline_mae";
        if (in_table || series.samples.empty()) continue;
        const std::string row = language::format_labels(series.labels);
        const bool pure = series.unit.empty() || series.unit == "1";
        out += (out.empty() ? "" : ", ") + series.metric + (row.empty() ? "" : " (" + row + ")") + " " +
               number(median_of(series)) + (pure ? "" : " " + series.unit);
    }
    return out.empty() ? std::string{} : "- Also measured: " + escape(out) + "\n";
}

std::string case_block(const Page& page, const CaseFacts& one) {
    std::string out =
        "#### " + escape(name_of(one)) + "\n\n**Status**: " + verdict_word(one.judgement.verdict);
    if (!one.judgement.reason.empty()) out += " - " + escape(one.judgement.reason);
    out += "\n\n" + code_block(command_line(one), "bash");
    out += "- Ended: " + escape(end_text(one)) + "\n" + routes_text(one);
    if (one.planned.kind == "parity") out += further_metrics(one);
    if (one.planned.xfail) {
        out += "- Waiver: " +
               escape(one.planned.xfail->owner + " until " + one.planned.xfail->expires + ", " +
                      one.planned.xfail->reason) +
               "\n";
    }
    for (std::size_t i = 0; i < one.record_errors.size() && i < 5; ++i)
        out += "- Unreadable result: " + escape(one.record_errors[i]) + "\n";
    const std::string files = page.files("steps/" + one.folder, {"results.jsonl", "stdout", "stderr"});
    out += "- Evidence: " + (files.empty() ? std::string("none came home") : files) + "\n\n";
    out += check_table(one);
    if (!has_table(one.planned.kind)) out += measurement_table(one);
    return out + page.figures_of(case_place(one));
}

// What a test against the published oracle must say of a route that is right.
std::string old_verdict(const OracleExamination& examined) {
    const CaseFacts& route = *examined.agreeing.front();
    const double mae = median_of(route, "mae").value_or(0);
    const std::string least = number(examined.mae - mae), most = number(examined.mae + mae);
    return "A test that takes the published oracle for the truth must report an MAE " +
           (least == most ? "of " + least : "between " + least + " and " + most) + " for " + name_of(route) +
           " (triangle inequality), so it says FAIL against " + number(*examined.limit) +
           " although the route is right.";
}

}  // namespace

std::string end_of(const language::ProcessEnd& end) {
    std::string text;
    switch (end.kind) {
        case EndKind::kExited:
            text = "exit code " + std::to_string(end.exit_code);
            break;
        case EndKind::kSignalled:
            text =
                "killed by signal " + std::to_string(end.signal) + (end.core_dumped ? ", core dumped" : "");
            break;
        case EndKind::kTimedOut:
            text = "hit its time limit";
            break;
        case EndKind::kSilent:
            text = "silent for too long";
            break;
        case EndKind::kCancelled:
            text = "cancelled";
            break;
        case EndKind::kNotStarted:
            text = "could not be started";
            break;
    }
    return text + (end.detail.empty() ? "" : " (" + end.detail + ")");
}

std::string oracle_subsection(const Page& page, const OracleExamination& examined) {
    using Wrong = OracleExamination::Wrong;
    std::string out = "#### Verification of the published oracle (" + escape(examined.branch) + ")\n\n";
    std::string word;
    switch (examined.wrong) {
        case Wrong::kOracle:
            word = "the published oracle is wrong, the measured routes are right";
            break;
        case Wrong::kRoutes:
            word = "the routes are wrong, the published oracle is right";
            break;
        case Wrong::kBoth:
            word = "the published oracle and the routes both differ from fp64";
            break;
        case Wrong::kNeither:
            word = "neither is wrong";
            break;
        case Wrong::kUndecided:
            word = "not decided by this run";
            break;
    }
    out += "**Which of the two was wrong**: **" + escape(word) + "**\n\n";
    Table table({{"Against the fp64 explicit-mask oracle"}, {"MAE", true}, {"Bound", true}, {"Within"}});
    const std::string bound = examined.limit ? number(*examined.limit) : "-";
    const auto within = [&](double mae) {
        return examined.limit ? (mae <= *examined.limit ? std::string("yes") : std::string("**no**")) : "-";
    };
    table.add({"Published oracle: SDPA, one query, is\\_causal=True", number(examined.mae), bound,
               within(examined.mae)});
    for (const auto* group : {&examined.agreeing, &examined.disagreeing}) {
        for (const CaseFacts* other : *group) {
            const double mae = median_of(*other, "mae").value_or(std::nan(""));
            table.add({escape(name_of(*other)), number(mae), bound, within(mae)});
        }
    }
    out += table.text();
    if (examined.first_key) {
        out +=
            "Hypothesis \"top-left alignment: one query with is\\_causal=True sees key 0 only\": residual of "
            "the "
            "first-key-only computation " +
            number(*examined.first_key) + " against an error of " + number(examined.mae) +
            (examined.first_key_explains ? ", so it explains the error.\n\n"
                                         : ", so it does not explain the error.\n\n");
    }
    if (examined.wrong == Wrong::kOracle) out += escape(old_verdict(examined)) + "\n\n";
    if (!examined.unmeasured.empty()) {
        std::string names;
        for (const CaseFacts* other : examined.unmeasured)
            names += (names.empty() ? "" : ", ") + name_of(*other);
        out += "Not measured in this run, so nothing is said of them: " + escape(names) + ".\n\n";
    }
    return out + "Evidence: " + page.evidence({{examined.oracle->planned.key, ""}}) + "\n\n";
}

std::string results_section(const Page& page) {
    std::string out = "## Test Results\n\n";
    const std::vector<Group> groups = groups_of(page.facts);
    if (groups.empty()) return out + "The plan has no cases.\n\n";
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const Group& group = groups[i];
        out += "### " + std::to_string(i + 1) + "\\. " + escape(title_of(group)) + "\n\n" +
               group_status(group) + group_table(group);
        if (has_table(group.kind)) out += page.figures_of(kind_place(group.kind));
        for (const OracleExamination& examined : page.analysis.oracles) {
            if (group.kind == "parity" && examined.branch == group.branch)
                out += oracle_subsection(page, examined);
        }
        for (const CaseFacts* one : group.cases)
            out += case_block(page, *one);
    }
    return out;
}

}  // namespace nsa::reports
