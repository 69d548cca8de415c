// What the operating system knows about this host, read from /proc; nothing here needs Torch or CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nsa::core::tools {

struct HostInfo {
    std::string cpu_model;
    int cores = 0;  // logical, that this process may use
    std::int64_t memory_bytes = 0;
};

[[nodiscard]] HostInfo host_info();

// The NVIDIA kernel driver ("580.159.04"), or empty when none is loaded. /proc first; NVML, opened only if it
// is there, where a container hides /proc/driver.
[[nodiscard]] std::string nvidia_driver_version();

// Most memory this process has held at once (resident set).
[[nodiscard]] std::int64_t peak_resident_bytes();

// The pure parts of the above, for tests.
[[nodiscard]] std::string cpu_model_in(std::string_view cpuinfo);
[[nodiscard]] std::string driver_version_in(std::string_view proc_driver_nvidia_version);

}  // namespace nsa::core::tools
