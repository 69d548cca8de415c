// The parts of an experiment. Each reads what it can and reports the rest. Private to yaml/.
#pragma once

#include <vector>

#include "language/spec.hpp"
#include "language/yaml/mapping.hpp"

namespace nsa::language::yaml {

// A whole experiment, with matrix, needs, params and environment checked at their places.
ExperimentSpec read_experiment(const Node& root, Context& context);

// `earlier`: ids that `needs` may name.
Step read_step(const Node& node, const std::vector<std::string>& earlier,
               const std::map<std::string, std::vector<Scalar>>& matrix, Context& context);
std::vector<Check> read_checks(const Node& node, Context& context);
std::vector<OutputParser> read_parsers(const Node& node, Context& context);
std::map<std::string, std::string> read_env(const Node& node,
                                            const std::map<std::string, std::vector<Scalar>>* matrix,
                                            Context& context);

// Reports a `${{ ... }}` that refers to no matrix key; `matrix` null: none is allowed here.
// True when the text has placeholders, good or bad, so that its value is not known yet.
bool check_placeholders(const Node& node, const std::map<std::string, std::vector<Scalar>>* matrix,
                        Context& context);

}  // namespace nsa::language::yaml
