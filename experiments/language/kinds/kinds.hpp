// The step kinds there are, and what they share. Private to kinds/.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "language/kind.hpp"

namespace nsa::language {

const StepKind& command_kind();
const StepKind& decode_bench_kind();
const StepKind& env_check_kind();
const StepKind& gate_health_kind();
const StepKind& memory_scaling_kind();
const StepKind& needle_kind();
const StepKind& parity_kind();
const StepKind& prefill_bench_kind();
const StepKind& train_smoke_kind();

// argv `nsa-core <subcommand> --name value ...` from the case's complete params ('_' becomes '-'), the exit
// code 77 as SKIP, and the CSV and JSON files of the step as artifacts.
void run_nsa_core(std::string_view subcommand, std::span<const ParamSchema> schema, PlannedCase& planned);

// Values of a list param, all different: each is a row.
int list_size(const Params& params, const std::string& name);

// What sizes must be to one another, where the params have them: groups divide heads, d divides l and l_sel.
Result<void> check_shape(const Params& params);

// The same of the byte-level model, whose rotary positions want an even dk.
Result<void> check_model(const Params& params);

// A cache page holds whole selection blocks.
Result<void> check_page(const Params& params);

// Whether the author wrote a gate of the form `metric op value`: of a kind whose defaults prove nothing by
// themselves.
bool has_bound(const PlannedCase& planned);

// Adds a check of the kind, unless the author wrote the same rule for the same metric: then theirs stands
// alone.
void add_default_check(PlannedCase& planned, CheckRule rule, Level level = Level::kGate);

}  // namespace nsa::language
