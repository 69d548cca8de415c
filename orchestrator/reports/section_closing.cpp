// Findings, recommendations, artifacts, commands to repeat, thresholds, the list and the configuration.
#include "language/shell_word.hpp"
#include "language/text.hpp"
#include "reports/page.hpp"
#include "reports/rules.hpp"

namespace nsa::reports {

namespace {

constexpr std::size_t kMostArtifacts = 500;

std::string spec_name(const RunFacts& facts) {
    return facts.spec_file.empty() ? facts.plan.name + ".yaml" : facts.spec_file;
}

std::string recommendation_list(const Page& page, bool immediate, std::string_view title) {
    std::string out;
    int index = 0;
    for (const Recommendation& advice : page.analysis.recommendations) {
        if (advice.immediate == immediate) out += std::to_string(++index) + ". " + escape(advice.text) + "\n";
    }
    return out.empty() ? std::string{} : "### " + std::string(title) + "\n\n" + out + "\n";
}

// The list that the worker made on its host; it is at home where the files were held against it.
std::string manifest_link(const RunFacts& facts) {
    const std::string folder = facts.run.artifact_dir.substr(facts.run.artifact_dir.rfind('/') + 1);
    return hashed_link("manifest.json", folder + "/manifest.json", facts.run.attempt->finished->manifest);
}

// What the hashes of the artifacts vouch for.
std::string provenance(const RunFacts& facts) {
    if (!facts.run.artifacts_verified) return "with the SHA-256 that the verdict recorded";
    if (!*facts.run.artifacts_verified) {
        return "as they lie here: the worker left no list of its files or not all came home, so some may "
               "be missing or cut, and the SHA-256 was made here";
    }
    const bool listed = facts.run.attempt && facts.run.attempt->finished;
    return "every file checked before the verdict against the SHA-256 that the worker stated on its host" +
           (listed ? ", in " + manifest_link(facts) : std::string{});
}

}  // namespace

std::string findings_section(const Page& page) {
    std::string out = "## Key Findings\n\n";
    if (page.analysis.findings.empty()) return out + "The rows gave no finding.\n\n";
    int index = 0;
    for (const Finding& finding : page.analysis.findings) {
        out += std::to_string(++index) + ". **" + std::string(to_string(finding.certainty)) +
               "**: " + escape(finding.text);
        if (!finding.evidence.empty()) out += " Evidence: " + page.evidence(finding.evidence) + ".";
        out += "\n";
    }
    return out + "\n";
}

std::string recommendations_section(const Page& page) {
    const std::string lists =
        recommendation_list(page, true, "Immediate") + recommendation_list(page, false, "Long-term");
    return "## Recommendations\n\n" + (lists.empty() ? "None: no rule found anything to act on.\n\n" : lists);
}

std::string artifacts_section(const Page& page) {
    const RunFacts& facts = page.facts;
    std::string out = "## Artifacts\n\n";
    if (facts.artifacts.empty()) return out + "No file is recorded.\n\n";
    out += "Below " + code_span(facts.run.artifact_dir) + ", " + provenance(facts) + ".\n\n";
    Table table({{"File"}, {"Size", true}, {"SHA-256"}});
    const std::string folder = facts.run.artifact_dir.substr(facts.run.artifact_dir.rfind('/') + 1);
    for (std::size_t i = 0; i < facts.artifacts.size() && i < kMostArtifacts; ++i) {
        const store::ArtifactRow& artifact = facts.artifacts[i];
        table.add({link(artifact.path, folder + "/" + artifact.path), bytes(artifact.size),
                   "`" + artifact.sha256.value + "`"});
    }
    out += table.text();
    if (facts.artifacts.size() > kMostArtifacts) {
        out += plural(facts.artifacts.size() - kMostArtifacts, "more file") + " in the JSON report.\n\n";
    }
    return out;
}

std::string repeat_section(const Page& page) {
    const RunFacts& facts = page.facts;
    std::string commands = "# the whole experiment\nnsactl submit " + language::shell_word(spec_name(facts));
    if (!facts.run.instance.empty())
        commands += " --instance " + language::shell_word(facts.run.instance.value);
    commands += "\n# or here, without a daemon\nnsactl run " + language::shell_word(spec_name(facts));
    commands += "\n# this report again\nnsactl report " + language::shell_word(facts.run.run.value) + "\n";
    return "## Commands to repeat\n\n" + code_block(commands, "bash") + "Spec SHA-256: `" +
           escape(facts.run.spec_hash.value) + "`. The command of each case stands with its result.\n\n";
}

std::string thresholds_section(const Page& page) {
    std::string out = "## Thresholds\n\nHashed before launch: SHA-256 `" +
                      escape(page.facts.run.thresholds_hash.value) + "`.\n\n";
    Table table({{"Case"}, {"Check"}, {"Level"}, {"From"}});
    for (const CaseFacts& one : page.facts.cases) {
        for (const language::Check& check : one.planned.checks) {
            table.add({escape(one.planned.key.value), escape(describe(check.rule)),
                       std::string(to_string(check.level)), escape(check.source)});
        }
    }
    return out + (table.empty() ? "The plan has no checks.\n\n" : table.text());
}

std::string test_summary_section(const Page& page) {
    std::string out = "## Test Summary\n\n";
    if (page.facts.cases.empty()) return out + "No cases.\n\n";
    for (const CaseFacts& one : page.facts.cases) {
        out += "- " + mark_of(one.judgement.verdict) + " " + escape(name_of(one)) + ": " +
               verdict_word(one.judgement.verdict);
        if (!one.judgement.reason.empty()) out += " (" + escape(one.judgement.reason) + ")";
        out += "\n";
    }
    return out + "\n";
}

std::string production_section(const Page& page) {
    const ProductionConfig& config = page.analysis.production;
    std::string out = "## Production Configuration\n\n";
    if (!config.none_because.empty())
        return out + "None can be recommended from this run: " + escape(config.none_because) + ".\n\n";
    std::string line = "export";
    for (const std::string& assignment : config.env)
        line += " " + assignment;
    out += code_block(line, "bash");
    for (const BranchChoice& choice : config.branches) {
        std::vector<Evidence> evidence;
        for (const CaseKey& key : choice.evidence)
            evidence.push_back({key, ""});
        out +=
            "- " + escape(choice.branch) + ": " +
            (choice.route.empty() ? std::string("no recommendation") : "**" + escape(choice.route) + "**") +
            ", " + escape(choice.why) + (evidence.empty() ? "" : ". Evidence: " + page.evidence(evidence)) +
            "\n";
    }
    return out + "\n";
}

}  // namespace nsa::reports
