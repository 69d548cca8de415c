// A plan: what one run will do, fully expanded and judged beforehand. Thresholds are hashed here, before
// launch. The worker gets it as plan.json; the store keeps it; the judge reads it.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "language/ids.hpp"
#include "language/spec.hpp"
#include "language/working_tree.hpp"

namespace nsa::language {

// What the kind expects to see, so that a missing row is an ERROR and never a smaller PASS.
struct Expectation {
    std::string metric;
    int rows = 1;     // distinct label sets
    int samples = 1;  // per row

    bool operator==(const Expectation&) const = default;
};

// done < asked (medians) caps the status at PARTIAL PASS: steps_done of steps_asked, tests_passed of
// tests_total.
struct Quota {
    std::string done, asked;

    bool operator==(const Quota&) const = default;
};

struct PlannedCase {
    CaseKey key;
    std::string step, kind, title;
    std::vector<CaseKey> needs;
    Labels matrix;                  // the matrix point; added to the labels in tables
    std::vector<std::string> argv;  // argv[0] may be a tool name ("nsa-core"), resolved by the worker
    std::map<std::string, std::string> env;  // spec env + step env
    Duration timeout{}, silence{};           // zero silence: off
    std::vector<std::string> artifacts;
    std::vector<OutputParser> parsers;
    std::vector<Check> checks;
    std::vector<Expectation> expected;
    std::vector<Quota> quotas;
    bool exit_code_is_verdict = false;  // command: non-zero exit is FAIL; else it is ERROR
    bool skip_exit_code = false;        // exit 77 with a skip record is SKIP (nsa-core kinds)
    bool warmup = false;                // a repetition that is run and recorded, but decides nothing
    std::string
        route_asked;  // kinds with a route: a route_taken fact that differs is an ERROR; "" or "auto": none
    std::optional<Waiver> xfail;
    Params params;

    bool operator==(const PlannedCase&) const = default;
};

struct SetupCommand {
    std::vector<std::string> argv;
    std::map<std::string, std::string> env;
    std::string creates;  // absolute or ~-relative path: when it exists the command is not run
    std::string title;

    bool operator==(const SetupCommand&) const = default;
};

struct Plan {
    std::string name, subject;
    Sha256 spec_hash;        // of the YAML bytes
    Sha256 thresholds_hash;  // of all checks, expectations, quotas and waivers, in order; not of their places
    std::vector<std::string> tools;  // tool names that the cases use: "nsa-core"
    std::vector<SetupCommand> setup;
    std::vector<PlannedCase> cases;  // in order of execution; needs point backwards
    Timeouts timeouts;
    Retry retry;
    Repeat repeat;
    Budget budget;
    Target target;
    Code code;                                // as the author states it
    std::optional<WorkingTree> working_tree;  // as found at the submission, where code.dirty asks for it
    Report report;

    bool operator==(const Plan&) const = default;
};

// Expands the matrix (at most 4096 cases) and lets each step kind fill its cases. Errors name the step's
// place.
Result<Plan> make_plan(const ExperimentSpec& spec, std::string_view spec_text);

boost::json::value to_json(const PlannedCase& planned);
boost::json::value to_json(const Plan& plan);
Result<Plan> plan_from_json(const boost::json::value& value);
// The text of plan.json. Read it back with plan_from_text: other JSON parsers may miss a number's last bit.
std::string to_text(const Plan& plan);
Result<Plan> plan_from_text(std::string_view text);

}  // namespace nsa::language
