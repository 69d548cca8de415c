// What a parity run will do, decided before anything runs: pure functions of flags, environment flags and
// device.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/golden/schema.hpp"
#include "nsa_core/parity/parity.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"

namespace nsa::core::parity {

// The device of the run, as far as planning cares.
struct DeviceFacts {
    tools::DeviceKind kind = tools::DeviceKind::kCpu;
    int sm = 0;               // compute capability, 10 * major + minor; 0 on the CPU
    std::string why_no_cuda;  // why a CPU run is not a CUDA run: that the host has no device, or --device cpu
    bool kernels = false;     // the program holds the kernels of route cuda
};

using GoldenPointer = std::shared_ptr<const golden::Golden>;

// What all trials of one run share.
struct TrialPlan {
    ParityOptions options;
    NsaConfig config;
    RoutePolicy policy;
    tools::DeviceKind device = tools::DeviceKind::kCpu;
    std::vector<std::pair<Branch, RouteChoice>> routes;  // one for each branch under test
    GoldenPointer golden = nullptr;                      // inputs and truth, where they come from a file
};

// What a subject asks of one of its branches: the route of the run, but nothing (auto) of the selected branch
// of a whole layer when that route is FlashAttention-2, which it does not have.
[[nodiscard]] std::optional<Route> route_asked_of(Branch branch, const ParityOptions& options);

// Throws InputError when the shape makes no sense, or when the route asked for does not go with the subject
// or contradicts an environment flag.
void check_request(const ParityOptions& options, const RoutePolicy& policy);

// With a golden file `options` are those that it makes (golden_plan.hpp).
[[nodiscard]] TrialPlan plan_trials(const ParityOptions& options, const RoutePolicy& policy,
                                    const DeviceFacts& device, GoldenPointer golden = nullptr);

// Positions at which something changes, up to `longest`, which is one of them, and an idle slot: the first
// tokens, the first compressed token, edges of selection blocks, of the window and of n whole blocks.
[[nodiscard]] std::vector<std::int64_t> edge_positions(const NsaConfig& config, std::int64_t longest);

// Why the host, NSA_TEST_FA2 or the shape leaves nothing to measure; nothing when the plan can run.
[[nodiscard]] std::optional<std::string> skip_reason(const TrialPlan& plan, const DeviceFacts& device);

}  // namespace nsa::core::parity
