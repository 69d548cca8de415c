// From a plan to the row of its run.
#include "language/plan.hpp"
#include "store/rows.hpp"

namespace nsa::store {

NewRun new_run(RunId run, const language::Plan& plan, std::string spec_yaml, std::string spec_file,
               std::int64_t created_ms) {
    NewRun made;
    made.run = std::move(run);
    made.name = plan.name;
    made.subject = plan.subject;
    made.spec_file = std::move(spec_file);
    made.spec_yaml = std::move(spec_yaml);
    made.plan_json = language::to_text(plan);
    made.spec_hash = plan.spec_hash;
    made.thresholds_hash = plan.thresholds_hash;
    made.requested_instance = InstanceName{plan.target.instance};
    made.created_ms = created_ms;
    made.cases.reserve(plan.cases.size());
    for (const language::PlannedCase& planned : plan.cases)
        made.cases.push_back({planned.key, planned.step, planned.kind, planned.title});
    return made;
}

}  // namespace nsa::store
