#include "reports/page.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "language/shell_word.hpp"
#include "reports/render.hpp"

namespace nsa::reports {

namespace {

using language::Verdict;

constexpr std::size_t kShortHash = 12;
constexpr std::size_t kMostEvidence = 6;

// Artifacts are sorted by path in the store.
const store::ArtifactRow* find_artifact(const RunFacts& facts, const std::string& path) {
    const auto found = std::find_if(facts.artifacts.begin(), facts.artifacts.end(),
                                    [&](const store::ArtifactRow& row) { return row.path == path; });
    return found == facts.artifacts.end() ? nullptr : &*found;
}

std::string results_path(const RunFacts& facts, const CaseKey& key) {
    for (const CaseFacts& one : facts.cases) {
        if (one.planned.key == key) return "steps/" + one.folder + "/results.jsonl";
    }
    return {};
}

}  // namespace

std::string Page::file(const std::string& text, const std::string& path) const {
    const store::ArtifactRow* artifact = find_artifact(facts, path);
    if (artifact == nullptr) return escape(text) + " (not home)";
    // The report lies beside the attempt's folder.
    const std::string folder = std::filesystem::path(facts.run.artifact_dir).filename().string();
    return hashed_link(text, folder + "/" + path, artifact->sha256);
}

std::string Page::evidence(const std::vector<Evidence>& list) const {
    std::string out;
    for (std::size_t i = 0; i < list.size() && i < kMostEvidence; ++i) {
        out += (i == 0 ? "" : "; ") + file(list[i].key.value, results_path(facts, list[i].key));
        if (!list[i].rows.empty()) out += " " + escape(list[i].rows);
    }
    if (list.size() > kMostEvidence) out += "; and " + std::to_string(list.size() - kMostEvidence) + " more";
    return out;
}

std::string Page::files(const std::string& folder, std::initializer_list<const char*> names) const {
    std::string out;
    for (const char* name : names) {
        const std::string path = folder + "/" + name;
        if (find_artifact(facts, path) != nullptr) out += (out.empty() ? "" : ", ") + file(name, path);
    }
    return out;
}

std::string Page::figures_of(const std::string& place) const {
    std::string out;
    for (const Figure& figure : figures) {
        if (figure.place != place) continue;
        out += image(figure.plot.title + ". " + description_of(figure.plot), figure.path) + "\n\n";
        if (!figure.note.empty()) out += escape(figure.note) + "\n\n";
    }
    return out;
}

std::string hashed_link(const std::string& text, const std::string& path, const Sha256& hash) {
    return link(text, path) + " (sha256 `" + hash.value.substr(0, kShortHash) + "`)";
}

std::string verdict_word(Verdict verdict) {
    return "**" + escape(to_string(verdict)) + "**";
}

std::string mark_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::kPass:
            return "\xE2\x9C\x85";  // check mark
        case Verdict::kFail:
        case Verdict::kXpass:
        case Verdict::kTimeout:
        case Verdict::kError:
            return "\xE2\x9D\x8C";  // cross
        case Verdict::kSkip:
        case Verdict::kBlocked:
        case Verdict::kCancelled:
            return "\xE2\x8F\xAD\xEF\xB8\x8F";  // skipped track
        case Verdict::kXfail:
        case Verdict::kNoReference:
        case Verdict::kInconclusive:
            return "\xE2\x9A\xA0\xEF\xB8\x8F";  // warning sign
    }
    return "?";
}

std::string tally(const RunFacts& facts) {
    std::map<Verdict, std::size_t> counts;
    for (const CaseFacts& one : facts.cases)
        ++counts[one.judgement.verdict];
    std::string out;
    for (const auto& [verdict, count] : counts)
        out += (out.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(to_string(verdict));
    return out.empty() ? "no cases" : out;
}

std::string command_line(const CaseFacts& one) {
    std::string out;
    for (const auto& [name, value] : one.planned.env)
        out += name + "=" + language::shell_word(value) + " ";
    const std::vector<std::string>& argv = one.argv.empty() ? one.planned.argv : one.argv;
    for (std::size_t i = 0; i < argv.size(); ++i)
        out += (i == 0 ? "" : " ") + language::shell_word(argv[i]);
    return out;
}

std::string render_markdown(const RunFacts& facts, const Analysis& analysis,
                            const std::vector<Figure>& figures) {
    const Page page{facts, analysis, figures};
    std::string out = header_section(page);
    for (auto section :
         {summary_section, environment_section, tries_section, results_section, repetitions_section,
          findings_section, recommendations_section, artifacts_section, repeat_section, thresholds_section,
          conclusion_section, test_summary_section, production_section})
        out += section(page);
    while (out.ends_with("\n\n"))
        out.pop_back();
    return out;
}

std::string file_stem(const RunFacts& facts) {
    return facts.report.date + " Test Engineer Report - " + facts.report.subject + " v" +
           std::to_string(facts.report.version);
}

Rendered render(const RunFacts& facts) {
    const Analysis analysis = analyse(facts);
    Rendered rendered;
    rendered.stem = file_stem(facts);
    rendered.figures = figures_of(facts);
    rendered.markdown = render_markdown(facts, analysis, rendered.figures);
    rendered.html = render_html(rendered.markdown, rendered.stem, rendered.figures);
    rendered.json = render_json(facts, analysis);
    return rendered;
}

}  // namespace nsa::reports
