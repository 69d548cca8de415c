// The one judge of all trials. It compares three things that different programs wrote: what the laboratory
// submitted and was told, what the daemon's database and files say, and what lies on the hosts. It trusts
// none of them.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "books.hpp"
#include "host_runs.hpp"

namespace nsa::faults {

struct Violation {
    std::string rule;  // one of the names below
    std::string text;
};

// What was asked of the daemon, by idempotency key.
struct Submission {
    std::optional<std::string> run;  // acknowledged under this id
    bool cancel_asked = false;       // a cancel was sent: how often it ran is 0 or 1
};
using Submissions = std::map<std::string, Submission>;

// What an earlier look saw of a DONE run: it must never change.
using DoneRuns = std::map<std::string, BookRun>;

struct Scene {
    std::filesystem::path state, artifacts;
    std::vector<std::filesystem::path> worker_homes;  // each holds runs/
    int most_attempts = 1;                            // of a run
    bool workers_may_die = false;  // a run may end for the infrastructure, without a manifest
};

// After any kill, with the daemon dead: "damaged", "lost", "doubled", "foreign run", "lease doubled",
// "result changed", "re-run". Remembers DONE runs in `done`.
std::vector<Violation> judge_books(const Books& books, const std::map<std::string, int>& marks,
                                   const Submissions& submissions, const Scene& scene, DoneRuns& done);

// Once everything has come to its end, additionally: "unfinished", "lease kept", "result doubled",
// "result incomplete", "never ran", "artifact differs", "log differs", "journal differs", "report missing",
// "stray run directory", "temporary file".
std::vector<Violation> judge_settled(const Books& books, const std::multimap<std::string, HostRun>& hosts,
                                     const std::map<std::string, int>& marks, const Scene& scene);

}  // namespace nsa::faults
