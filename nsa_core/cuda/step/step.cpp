#include "nsa_core/cuda/step/step.hpp"

#include "nsa_core/cuda/device_limits.hpp"
#include "nsa_core/cuda/step/launch.hpp"

namespace nsa::core::cuda {
namespace {

constexpr int kClusterShared = shared_memory_limit(90);  // where clusters are
constexpr int kGridShared = shared_memory_limit(80);
constexpr int kMaxCapacity = 1 << 21;       // so that offsets of a layout stay within 32 bits
constexpr std::size_t kCounterBytes = 256;  // before a grid's inbox: its arrival counter

int ranks_of(StepTeam team) {
    return team == StepTeam::kCluster8 ? 8 : 16;
}

StepLayout layout_of(const StepShape& shape, StepTeam team) {
    return layout_step(shape, ranks_of(team), team != StepTeam::kGrid);
}

bool is_seed(StepShape shape) {
    shape.capacity = kSeedShape.capacity;
    shape.rope = kSeedShape.rope;
    shape.softmax_gate = kSeedShape.softmax_gate;
    return shape == kSeedShape;
}

step::Geometry geometry_of(const StepShape& shape, StepTeam team) {
    const StepLayout at = layout_of(shape, team);
    return {.width = shape.dk,
            .seed = is_seed(shape),
            .ranks = at.ranks,
            .shared_bytes = static_cast<std::size_t>(at.shared_size) * sizeof(float)};
}

std::string number(const char* name, int value) {
    return std::string{name} + " = " + std::to_string(value);
}

std::optional<std::string> bad_sizes(const StepShape& s) {
    if (s.learnable_compressor) return "the kernel compresses by the mean only, not by a learnable phi";
    if (s.dk != s.dv || (s.dk != 16 && s.dk != 32 && s.dk != 64)) {
        return number("dk", s.dk) + " and " + number("dv", s.dv) +
               "; the kernel needs them equal, 16, 32 or 64";
    }
    if (s.dim < 32 || s.dim > 1024 || s.dim % 32 != 0) {
        return number("dim", s.dim) + "; the kernel takes multiples of 32 up to 1024";
    }
    if (s.groups < 1 || s.heads < 1 || s.heads % s.groups != 0 || s.heads / s.groups > 32) {
        return number("heads", s.heads) + " in " + number("groups", s.groups) +
               "; the kernel takes up to 32 heads in each group";
    }
    if (s.gate_hidden < 1 || s.gate_hidden > 1024) {
        return number("gate_hidden", s.gate_hidden) + "; the kernel takes 1 to 1024";
    }
    if (s.capacity < 1 || s.capacity > kMaxCapacity) {
        return number("capacity", s.capacity) + " tokens; the kernel takes 1 to " +
               std::to_string(kMaxCapacity);
    }
    return std::nullopt;
}

std::optional<std::string> bad_blocks(const StepShape& s) {
    if (s.d < 1 || s.l < 1 || s.l_sel < 1 || s.l % s.d != 0 || s.l_sel % s.d != 0) {
        return number("d", s.d) + " must divide " + number("l", s.l) + " and " + number("l_sel", s.l_sel);
    }
    if (s.w < 1 || s.n < 1 || s.n > 1024 || s.n_local < 1 || s.n_initial < 0 ||
        std::int64_t{s.n_initial} + s.n_local > s.n) {
        return number("n", s.n) + " selected blocks with " + number("n_initial", s.n_initial) + " and " +
               number("n_local", s.n_local) + " forced, " + number("w", s.w) +
               "; the kernel takes up to 1024 blocks, the forced ones among them and the query's own always, "
               "and a "
               "window of at least one token";
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> step_unsupported(const StepShape& shape, StepTeam team) {
    return step_unsupported(shape, team, team == StepTeam::kGrid ? kGridShared : kClusterShared);
}

std::optional<std::string> step_unsupported(const StepShape& shape, StepTeam team, int shared_bytes) {
    if (auto reason = bad_sizes(shape)) return reason;
    if (auto reason = bad_blocks(shape)) return reason;
    const int ranks = ranks_of(team);
    if (ranks % shape.groups != 0) {
        return number("groups", shape.groups) + "; the kernel shares " + std::to_string(ranks) +
               " thread blocks evenly among them, so it must divide that";
    }
    const std::size_t needed = geometry_of(shape, team).shared_bytes;
    if (needed > static_cast<std::size_t>(shared_bytes)) {
        return number("capacity", shape.capacity) + ", " + number("dim", shape.dim) + ", " +
               number("heads", shape.heads) + " need " + std::to_string(needed) +
               " bytes of shared memory in a thread block, and there are " + std::to_string(shared_bytes) +
               "; a smaller one of these fits";
    }
    return std::nullopt;
}

bool step_runs(const StepShape& shape, StepTeam team) {
    const step::Geometry geometry = geometry_of(shape, team);
    return team == StepTeam::kGrid ? step::grid_runs(geometry) : step::cluster_runs(geometry);
}

std::optional<StepTeam> choose_step_team(const StepShape& shape) {
    for (const StepTeam team : {StepTeam::kCluster16, StepTeam::kCluster8, StepTeam::kGrid}) {
        if (!step_unsupported(shape, team) && step_runs(shape, team)) return team;
    }
    return std::nullopt;
}

std::size_t step_workspace_bytes(const StepShape& shape, StepTeam team) {
    if (team != StepTeam::kGrid) return 0;
    return kCounterBytes + static_cast<std::size_t>(layout_of(shape, team).inbox_size) * sizeof(float);
}

cudaError_t prepare_step(const StepShape& shape, StepTeam team) {
    const step::Geometry geometry = geometry_of(shape, team);
    return team == StepTeam::kGrid ? step::prepare_grid(geometry) : step::prepare_cluster(geometry);
}

cudaError_t launch_step(const StepParams& params, StepTeam team, cudaStream_t stream) {
    const step::Geometry geometry = geometry_of(params.shape, team);
    const step::Arguments arguments{.params = params, .at = layout_of(params.shape, team)};
    return team == StepTeam::kGrid ? step::launch_grid(arguments, geometry, stream)
                                   : step::launch_cluster(arguments, geometry, stream);
}

}  // namespace nsa::core::cuda
