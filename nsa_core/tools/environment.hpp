// Where a run executes and on what: the device it asked for, and the facts that every run states about it.
// The header is free of Torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nsa_core/numeric.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"

namespace nsa::core::tools {

enum class DeviceFlag { kAuto, kCpu, kCuda };
enum class DeviceKind { kCpu, kCuda };  // device 0 of its kind; CUDA_VISIBLE_DEVICES picks another

void add_device_flag(FlagTable& table, DeviceFlag& target);
void add_dtype_flag(FlagTable& table, DType& target);

// kAuto takes CUDA when there is one. kCuda without a device is a skip, never a silent CPU run.
[[nodiscard]] std::variant<DeviceKind, Skipped> choose_device(DeviceFlag flag);

// "no CUDA device is visible", or that this program was built without CUDA.
[[nodiscard]] std::string no_cuda_reason();

struct GpuInfo {
    std::string name;
    std::string uuid;  // "GPU-..." as nvidia-smi prints it
    int sm = 0;        // compute capability, 10 * major + minor
    std::int64_t memory_bytes = 0;
};

[[nodiscard]] std::vector<GpuInfo> visible_gpus();
[[nodiscard]] int sm_of(DeviceKind device);  // of the first visible GPU, as above; 0 for the CPU
[[nodiscard]] std::string torch_version();
[[nodiscard]] std::string cuda_version();   // of the runtime linked; empty in a build without CUDA
[[nodiscard]] std::string cudnn_version();  // empty when Torch has none or no device can load it

// device, dtype, seed, torch_version, threads and cpu_model; with CUDA also cuda_version, gpu_name, gpu_uuid
// and driver.
void write_run_facts(Output& output, DeviceKind device, DType dtype, std::int64_t seed);

// route_asked, route_taken and route_reason of one branch, labelled with it and with `more`.
void write_route_facts(Output& output, Branch branch, const RouteChoice& choice, const Labels& more = {});

// What NSA_SDPA_AUDIT counted.
struct AuditCounts {
    std::int64_t calls = 0;
    std::int64_t misaligned_calls = 0;  // is_causal with fewer queries than keys: aligned top-left
    std::int64_t nan_rows = 0;
};
void write_audit_facts(Output& output, const AuditCounts& counts);

// Most memory held at once: on CUDA what Torch's allocator gave out, on the CPU the process's resident set.
void write_peak_memory(Output& output, DeviceKind device);

}  // namespace nsa::core::tools
