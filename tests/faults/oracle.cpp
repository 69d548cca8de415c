#include "oracle.hpp"

#include <algorithm>
#include <set>

namespace nsa::faults {

namespace fs = std::filesystem;

namespace {

using Violations = std::vector<Violation>;
using Marks = std::map<std::string, int>;
using HostRuns = std::multimap<std::string, HostRun>;

constexpr const char* kDone = "DONE";

std::string folder_name(const std::string& run, int attempt) {
    return run + "." + std::to_string(attempt);
}

void judge_submissions(const Books& books, const Submissions& submissions, Violations& found) {
    std::map<std::string, std::string> by_key;
    for (const auto& [id, run] : books.runs) {
        if (!submissions.contains(run.key))
            found.push_back({"foreign run", id + " has a key that nobody sent"});
        if (const auto [other, fresh] = by_key.emplace(run.key, id); !fresh)
            found.push_back({"doubled", "key " + run.key + " made " + other->second + " and " + id});
    }
    for (const auto& [key, submission] : submissions) {
        if (!submission.run) continue;
        const auto run = books.runs.find(*submission.run);
        if (run == books.runs.end()) {
            found.push_back({"lost", *submission.run + " was acknowledged and is not in the database"});
        } else if (run->second.key != key) {
            found.push_back({"doubled", *submission.run + " was acknowledged for another key"});
        }
    }
}

void judge_leases(const Books& books, Violations& found) {
    std::set<std::string> held;
    for (const std::string& instance : books.leases) {
        if (!held.insert(instance).second) found.push_back({"lease doubled", "two runs hold " + instance});
    }
}

bool same_result(const BookRun& a, const BookRun& b) {
    return a.state == b.state && a.status == b.status && a.reason == b.reason && a.attempt == b.attempt &&
           a.artifacts == b.artifacts && a.publications == b.publications && a.verdicts == b.verdicts;
}

void judge_permanence(const Books& books, DoneRuns& done, Violations& found) {
    for (const auto& [id, before] : done) {
        const auto now = books.runs.find(id);
        if (now == books.runs.end() || !same_result(before, now->second))
            found.push_back({"result changed", id + " was DONE and its result is another one now"});
    }
    for (const auto& [id, run] : books.runs) {
        if (run.state == kDone) done.emplace(id, run);
    }
}

void judge_executions(const Books& books, const Marks& marks, const Scene& scene, Violations& found) {
    for (const auto& [folder, times] : marks) {
        if (times > 1)
            found.push_back({"re-run", folder + " was executed " + std::to_string(times) + " times"});
    }
    for (const auto& [id, run] : books.runs) {
        if (static_cast<int>(run.attempts.size()) > scene.most_attempts)
            found.push_back({"re-run", id + " has " + std::to_string(run.attempts.size()) + " attempts"});
    }
}

void judge_end(const BookRun& run, const Marks& marks, const Scene& scene, Violations& found) {
    if (run.state != kDone) return found.push_back({"unfinished", run.run + " is " + run.state});
    if (run.publications != 1) {
        found.push_back(
            {"result doubled", run.run + " was published " + std::to_string(run.publications) + " times"});
    }
    if (run.verdicts != run.cases) {
        found.push_back({"result incomplete", run.run + " has " + std::to_string(run.verdicts) +
                                                  " verdicts of " + std::to_string(run.cases) + " cases"});
    }
    if (scene.workers_may_die) return;
    const bool ran = std::any_of(run.attempts.begin(), run.attempts.end(),
                                 [&](int attempt) { return marks.contains(folder_name(run.run, attempt)); });
    if (!ran && !run.cancel_requested) found.push_back({"never ran", run.run + " ended " + run.status});
    if (run.status == "INFRASTRUCTURE")
        found.push_back({"result incomplete", run.run + " ended for the infrastructure: " + run.reason});
}

void judge_reports(const BookRun& run, const Scene& scene, Violations& found) {
    if (run.reports.empty()) found.push_back({"report missing", run.run});
    for (const BookReport& report : run.reports) {
        const fs::path path{report.path};
        const fs::path file = path.is_absolute() ? path : scene.artifacts / run.run / path;
        if (sha256_of_file(file) != report.sha256)
            found.push_back(
                {"report missing", run.run + ": " + file.string() + " has not the recorded hash"});
    }
}

// A cancel ends a LOST run at once, with what is home by then: less than the manifest, never anything else.
bool is_cancelled(const BookRun& run) {
    return run.reason == "cancelled_by_user";
}

// What is recorded, what is at home and what the worker's manifest says must be the same files.
void judge_files(const BookRun& run, const HostRun& host, Violations& found) {
    for (const auto& [path, hash] : host.manifest) {
        const auto recorded = run.artifacts.find(path);
        if (recorded == run.artifacts.end() && is_cancelled(run)) continue;
        if (recorded == run.artifacts.end()) {
            found.push_back(
                {"result incomplete", run.run + ": " + path + " is in the manifest, not in the result"});
        } else if (recorded->second.sha256 != hash && !is_cancelled(run)) {
            found.push_back({"artifact differs", run.run + ": " + path + " was recorded with another hash"});
        }
    }
    for (const auto& [path, file] : run.artifacts) {
        if (!host.manifest.empty() && !host.manifest.contains(path))
            found.push_back({"artifact differs", run.run + ": " + path + " is not in the worker's manifest"});
        const bool is_log = path.ends_with("/stdout") || path.ends_with("/stderr");
        const std::string at_home = sha256_of_file(fs::path{run.artifact_dir} / path);
        const std::string there = is_cancelled(run) ? sha256_of_beginning(host.folder / path, file.size)
                                                    : sha256_of_file(host.folder / path);
        if (at_home != file.sha256 || at_home != there)
            found.push_back({is_log ? "log differs" : "artifact differs", run.run + ": " + path});
    }
}

void judge_journal(const BookRun& run, const HostRun& host, Violations& found) {
    const auto kept = run.journal.find(host.attempt);
    const std::size_t lines = kept == run.journal.end() ? 0 : kept->second.size();
    const bool partial = is_cancelled(run) && lines < host.journal.size();
    if (lines != host.journal.size() && !partial) {
        return found.push_back({"journal differs", run.run + ": " + std::to_string(lines) + " events of " +
                                                       std::to_string(host.journal.size())});
    }
    for (std::size_t i = 0; i < lines; ++i) {
        const auto line = kept->second.find(i + 1);
        const bool same =
            line != kept->second.end() && (line->second.empty() || line->second == host.journal[i] ||
                                           line->second == host.journal[i] + "\n");
        if (!same) found.push_back({"journal differs", run.run + ": event " + std::to_string(i + 1)});
    }
}

void judge_host(const BookRun& run, const HostRuns& hosts, Violations& found) {
    const auto [first, last] = hosts.equal_range(folder_name(run.run, run.attempt));
    const auto there = std::distance(first, last);
    if (there > 1) found.push_back({"re-run", run.run + " has run directories on two hosts"});
    if (there != 1) return;
    judge_files(run, first->second, found);
    judge_journal(run, first->second, found);
}

bool is_temporary(const fs::path& file) {
    const std::string name = file.filename().string();
    return name.ends_with(".tmp") || name.ends_with(".part") || name.find(".tmp") != std::string::npos ||
           file.parent_path().filename() == "tmp";
}

void judge_leftovers(const Scene& scene, Violations& found) {
    std::vector<fs::path> folders{scene.state, scene.artifacts};
    folders.insert(folders.end(), scene.worker_homes.begin(), scene.worker_homes.end());
    for (const fs::path& folder : folders) {
        std::error_code none;
        for (const auto& entry : fs::recursive_directory_iterator{folder, none}) {
            // A killed worker leaves the file that it was writing in its run directory, which is kept as
            // evidence.
            const bool evidence =
                scene.workers_may_die && entry.path().string().find("/runs/") != std::string::npos;
            if (!evidence && entry.is_regular_file(none) && is_temporary(entry.path()))
                found.push_back({"temporary file", entry.path().string()});
        }
    }
}

}  // namespace

std::vector<Violation> judge_books(const Books& books, const Marks& marks, const Submissions& submissions,
                                   const Scene& scene, DoneRuns& done) {
    Violations found;
    for (const std::string& damage : books.damage)
        found.push_back({"damaged", damage});
    judge_submissions(books, submissions, found);
    judge_leases(books, found);
    judge_permanence(books, done, found);
    judge_executions(books, marks, scene, found);
    return found;
}

std::vector<Violation> judge_settled(const Books& books, const HostRuns& hosts, const Marks& marks,
                                     const Scene& scene) {
    Violations found;
    for (const std::string& instance : books.leases)
        found.push_back({"lease kept", instance});
    for (const auto& [id, run] : books.runs) {
        judge_end(run, marks, scene, found);
        judge_reports(run, scene, found);
        judge_host(run, hosts, found);
    }
    for (const auto& [name, host] : hosts) {
        const auto run = books.runs.find(host.run);
        const bool known =
            run != books.runs.end() && std::find(run->second.attempts.begin(), run->second.attempts.end(),
                                                 host.attempt) != run->second.attempts.end();
        if (!known) found.push_back({"stray run directory", host.folder.string()});
    }
    judge_leftovers(scene, found);
    return found;
}

}  // namespace nsa::faults
