#include "language/yaml/reader.hpp"

#include <algorithm>

#include "language/plan.hpp"
#include "language/yaml/read_parts.hpp"

namespace nsa::language {

std::string describe(const Diagnostic& diagnostic, std::string_view file) {
    std::string text = std::string(file) + ":" + std::to_string(diagnostic.line) + ":" +
                       std::to_string(diagnostic.column) + ": " + diagnostic.text;
    if (!diagnostic.expected.empty()) text += "; expected " + diagnostic.expected;
    if (!diagnostic.suggestion.empty()) text += "; did you mean '" + diagnostic.suggestion + "'?";
    return text;
}

namespace {

// What only the expanded plan shows (a param that is wrong for one matrix value, a missing gate) is reported
// at the step that it is about.
void check_plan(const ExperimentSpec& spec, const yaml::Node& root, std::string_view yaml,
                yaml::Context& context) {
    const Result<Plan> plan = make_plan(spec, yaml);
    if (plan) return;
    const yaml::Node* place = &root;
    for (const auto& [key, steps] : root.members) {
        if (key.text != "steps") continue;
        for (const yaml::Node& step : steps.items) {
            if (context.source(step) == plan.error().where) place = &step;
        }
    }
    context.problems.add(*place, plan.error().text);
}

}  // namespace

SpecReading read_spec(std::string_view yaml, std::string_view file) {
    yaml::Diagnostics problems;
    yaml::Context context{file, problems};
    SpecReading reading;
    const yaml::Node root = yaml::load(yaml, problems);
    if (problems.empty()) reading.spec = yaml::read_experiment(root, context);
    if (problems.empty()) check_plan(reading.spec, root, yaml, context);
    reading.diagnostics = problems.take_sorted();
    return reading;
}

Result<ExperimentSpec> parse_spec(std::string_view yaml, std::string_view file) {
    constexpr std::size_t kMostShown = 10;
    SpecReading reading = read_spec(yaml, file);
    if (reading.diagnostics.empty()) return std::move(reading.spec);
    std::string text;
    for (std::size_t i = 0; i < std::min(reading.diagnostics.size(), kMostShown); ++i) {
        text += (i == 0 ? "" : "\n") + describe(reading.diagnostics[i], file);
    }
    if (reading.diagnostics.size() > kMostShown) {
        text += "\nand " + std::to_string(reading.diagnostics.size() - kMostShown) + " more";
    }
    return fail(ErrorCode::kInvalidSpec, text);
}

}  // namespace nsa::language
