// From a plan to the row of its run.
#include "language/plan.hpp"
#include "store/rows.hpp"

namespace nsa::store {

namespace {

// Of the cases what their limits are summed from, of the setup commands how many there are.
language::Plan outline_of(const language::Plan& plan) {
    language::Plan outline;
    outline.name = plan.name;
    outline.spec_hash = plan.spec_hash;
    outline.thresholds_hash = plan.thresholds_hash;
    outline.tools = plan.tools;
    outline.setup.resize(plan.setup.size());
    for (const language::PlannedCase& planned : plan.cases) {
        language::PlannedCase& limits = outline.cases.emplace_back();
        limits.key = planned.key;
        limits.timeout = planned.timeout;
        limits.silence = planned.silence;
    }
    outline.timeouts = plan.timeouts;
    outline.retry = plan.retry;
    outline.target = plan.target;
    outline.report = plan.report;
    return outline;
}

}  // namespace

NewRun new_run(RunId run, const language::Plan& plan, std::string spec_yaml, std::string spec_file,
               std::int64_t created_ms) {
    NewRun made;
    made.run = std::move(run);
    made.name = plan.name;
    made.subject = plan.subject;
    made.spec_file = std::move(spec_file);
    made.spec_yaml = std::move(spec_yaml);
    made.plan_json = language::to_text(plan);
    made.outline_json = language::to_text(outline_of(plan));
    made.spec_hash = plan.spec_hash;
    made.thresholds_hash = plan.thresholds_hash;
    if (plan.working_tree) made.tree = plan.working_tree->tree;
    made.created_ms = created_ms;
    made.cases.reserve(plan.cases.size());
    for (const language::PlannedCase& planned : plan.cases)
        made.cases.push_back({planned.key, planned.step, planned.kind, planned.title});
    return made;
}

}  // namespace nsa::store
