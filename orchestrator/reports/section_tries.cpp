// The tries of a run that was retried: which one the report is of, and how those before it ended.
#include <algorithm>

#include "language/names.hpp"
#include "reports/page.hpp"

namespace nsa::reports {

namespace {

const store::AttemptRow* attempt_row(const RunFacts& facts, Attempt attempt) {
    const auto found = std::find_if(facts.attempts.begin(), facts.attempts.end(),
                                    [&](const store::AttemptRow& row) { return row.attempt == attempt; });
    return found == facts.attempts.end() ? nullptr : &*found;
}

// Attempt, instance, launch and time: what a try that was launched and one that was not have in common.
void add_try(const RunFacts& facts, const store::FailedTry& one, const std::string& end, Table& table) {
    const store::AttemptRow* row = attempt_row(facts, one.attempt);
    std::vector<std::string> cells{std::to_string(one.number),
                                   "never launched",
                                   one.instance.empty() ? "none" : escape(one.instance.value),
                                   "-",
                                   "-",
                                   end};
    if (row != nullptr) {
        cells[1] = std::to_string(one.attempt.value);
        cells[3] = utc(row->begun_ms);
        cells[4] =
            seconds(static_cast<double>(std::max<std::int64_t>(0, one.over_ms - row->begun_ms)) / 1000);
    }
    table.add(std::move(cells));
}

// The try that the report is of, as if it had been given up: with its number, and an attempt of its own or
// none.
store::FailedTry last_try(const RunFacts& facts) {
    store::FailedTry last;
    last.number = facts.run.retries + 1;
    last.instance = facts.run.instance;
    last.over_ms = facts.run.finished_ms;
    if (facts.run.attempt && facts.run.attempt->attempt > facts.run.attempts_over)
        last.attempt = facts.run.attempt->attempt;
    return last;
}

}  // namespace

std::string on_which_try(const RunFacts& facts) {
    if (facts.run.retries == 0) return {};
    std::string ends;
    for (const store::FailedTry& one : facts.failed_tries)
        ends += (ends.empty() ? "" : ", ") + ("try " + std::to_string(one.number) + " ended with ") +
                std::string(to_string(one.reason));
    return "on try " + std::to_string(facts.run.retries + 1) + (ends.empty() ? "" : ", for " + ends);
}

std::string tries_section(const Page& page) {
    const RunFacts& facts = page.facts;
    if (facts.run.retries == 0) return {};
    Table table({{"Try", true}, {"Attempt"}, {"Instance"}, {"Launched"}, {"Lasted", true}, {"Ended by"}});
    for (const store::FailedTry& one : facts.failed_tries)
        add_try(facts, one,
                escape(std::string(to_string(one.reason)) + (one.message.empty() ? "" : ": " + one.message)),
                table);
    add_try(facts, last_try(facts),
            escape(std::string(to_string(facts.run.reason))) + ": the result of this report", table);
    std::string out =
        "## Tries\n\nThe plan allows a retry after failures of the system, never after a missed threshold; "
        "at most " +
        std::to_string(facts.plan.retry.max) +
        ". Cases, checks and files in this report are those of the last attempt.\n\n" + table.text();
    if (facts.failed_tries.size() < static_cast<std::size_t>(facts.run.retries))
        out += "How the others ended is not recorded.\n\n";
    return out;
}

}  // namespace nsa::reports
