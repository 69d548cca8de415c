// Whether the steps of a training run become replays of a CUDA graph. Pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/numeric.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"

namespace nsa::core::train {

enum class GraphFlag {
    kAuto,  // where every branch takes route cuda
    kOn,    // whatever the routes
    kOff
};

struct GraphRequest {
    GraphFlag flag = GraphFlag::kAuto;
    tools::DeviceKind device = tools::DeviceKind::kCpu;
    DType dtype = DType::kFp32;
    bool kernels = false;  // the program was built with nvcc
    bool sdpa_audit = false;
    std::vector<std::pair<Branch, RouteChoice>> routes;  // that a step took
};

// Why steps run eagerly; nothing when they can be captured.
[[nodiscard]] std::optional<std::string> why_eager(const GraphRequest& request);

}  // namespace nsa::core::train
