// DeviceKind in Torch's terms.
#pragma once

#include <c10/core/Device.h>

#include "nsa_core/tools/environment.hpp"

namespace nsa::core::tools {

[[nodiscard]] inline at::Device torch_device(DeviceKind kind) {
    return kind == DeviceKind::kCuda ? at::Device{at::kCUDA, 0} : at::Device{at::kCPU};
}

}  // namespace nsa::core::tools
