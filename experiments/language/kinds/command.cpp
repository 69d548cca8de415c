#include <array>

#include "language/kinds/kinds.hpp"

namespace nsa::language {

namespace {

// Any program. Its exit code is a verdict: 0 is good, anything else FAIL. Measurements come from its output
// by parsers, or from the JSON lines that it appends to the file named by NSA_RESULTS.
class Command final : public StepKind {
  public:
    std::string_view name() const override { return "command"; }
    std::string_view help() const override {
        return "runs any program; its exit code and the author's checks decide";
    }
    std::span<const ParamSchema> params() const override { return {}; }

    Result<void> fill(const Step& step, PlannedCase& planned) const override {
        if (step.run.empty() || step.run.front().empty()) {
            return fail(ErrorCode::kInvalidSpec,
                        "a command step needs 'run', a list of program and arguments");
        }
        planned.argv = step.run;
        planned.exit_code_is_verdict = true;
        for (const OutputParser& parser : planned.parsers) {
            if (parser.kind == ParserKind::kJunit) add_junit_checks(planned);
        }
        return {};
    }

  private:
    // No failure, no error, and at least one test that passed; a skipped test is no pass, so it caps the
    // status.
    static void add_junit_checks(PlannedCase& planned) {
        add_default_check(planned, ThresholdCheck{"tests_failed", Op::kEqual, 0, "1", Aggregate::kEach, 0});
        add_default_check(planned, ThresholdCheck{"tests_errors", Op::kEqual, 0, "1", Aggregate::kEach, 0});
        add_default_check(planned,
                          ThresholdCheck{"tests_passed", Op::kGreaterEqual, 1, "1", Aggregate::kEach, 0});
        const Quota all_passed{"tests_passed", "tests_total"};
        if (planned.quotas.empty()) planned.quotas.push_back(all_passed);
    }
};

}  // namespace

const StepKind& command_kind() {
    static const Command kKind;
    return kKind;
}

}  // namespace nsa::language
