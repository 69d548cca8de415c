// The sections of the Markdown report, in their order. Private to this box. Each returns Markdown that ends
// with an empty line.
#pragma once

#include <initializer_list>
#include <string>

#include "reports/figures.hpp"
#include "reports/findings.hpp"
#include "reports/text.hpp"

namespace nsa::reports {

struct Page {
    const RunFacts& facts;
    const Analysis& analysis;
    const std::vector<Figure>& figures;

    // A link to a file of the run with the head of its hash, or a plain word when it did not come home.
    std::string file(const std::string& text, const std::string& path) const;
    // "[case](.../results.jsonl) rows (sha256 1a2b...)", for up to a handful of them.
    std::string evidence(const std::vector<Evidence>& list) const;
    // Links to those of the files in this folder of the run that came home; empty: none did.
    std::string files(const std::string& folder, std::initializer_list<const char*> names) const;
    // The figures of one place with their notes; empty: it has none.
    std::string figures_of(const std::string& place) const;
};

std::string header_section(const Page& page);
std::string summary_section(const Page& page);
std::string environment_section(const Page& page);
std::string tries_section(const Page& page);  // empty when the first try is the one reported
std::string results_section(const Page& page);
std::string repetitions_section(const Page& page);  // empty when the plan repeats nothing
std::string findings_section(const Page& page);
std::string recommendations_section(const Page& page);
std::string artifacts_section(const Page& page);
std::string repeat_section(const Page& page);
std::string thresholds_section(const Page& page);
std::string conclusion_section(const Page& page);
std::string test_summary_section(const Page& page);
std::string production_section(const Page& page);

// Tables of one kind of step, used by results_section; empty when no case measured anything.
std::string parity_table(const std::vector<const CaseFacts*>& cases);
std::string decode_table(const std::vector<const CaseFacts*>& cases);
std::string needle_table(const std::vector<const CaseFacts*>& cases);
std::string prefill_table(const std::vector<const CaseFacts*>& cases);
std::string training_table(const std::vector<const CaseFacts*>& cases);
std::string gate_table(const std::vector<const CaseFacts*>& cases);
std::string memory_table(const std::vector<const CaseFacts*>& cases);
std::string measurement_table(const CaseFacts& one);
std::string oracle_subsection(const Page& page, const OracleExamination& examined);

// "[text](path) (sha256 `1a2b...`)", with the head of the hash.
std::string hashed_link(const std::string& text, const std::string& path, const Sha256& hash);
// "**PASS**", coloured by the HTML page.
std::string verdict_word(language::Verdict verdict);
std::string mark_of(language::Verdict verdict);  // one emoji
// One sentence: why the status is what it is.
std::string status_reason(const RunFacts& facts);
// "exit code 1", "killed by signal 9 (out of memory)"
std::string end_of(const language::ProcessEnd& end);
// "on try 2, for try 1 ended with worker_died"; empty when the first try is the one reported.
std::string on_which_try(const RunFacts& facts);
// "1 PASS, 2 SKIP"
std::string tally(const RunFacts& facts);
std::string command_line(const CaseFacts& one);

}  // namespace nsa::reports
