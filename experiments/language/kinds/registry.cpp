#include <algorithm>
#include <array>

#include "language/kind.hpp"
#include "language/kinds/kinds.hpp"

namespace nsa::language {

std::span<const StepKind* const> step_kinds() {
    // Sorted by name.
    static const auto kKinds = std::to_array<const StepKind*>({
        &command_kind(),
        &decode_bench_kind(),
        &env_check_kind(),
        &gate_health_kind(),
        &memory_scaling_kind(),
        &needle_kind(),
        &parity_kind(),
        &prefill_bench_kind(),
        &train_smoke_kind(),
    });
    return kKinds;
}

const StepKind* find_step_kind(std::string_view name) {
    const auto kinds = step_kinds();
    const auto found =
        std::find_if(kinds.begin(), kinds.end(), [&](const StepKind* kind) { return kind->name() == name; });
    return found == kinds.end() ? nullptr : *found;
}

}  // namespace nsa::language
