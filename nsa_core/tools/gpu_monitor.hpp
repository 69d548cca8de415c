// Clocks and throttling of one GPU while it is measured, from NVML, which comes with the driver.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace nsa::core::tools {

struct GpuState {
    unsigned sm_clock_mhz = 0;
    unsigned memory_clock_mhz = 0;
    unsigned temperature_c = 0;
    double power_w = 0;
    std::uint64_t throttle_reasons = 0;  // NVML's bits
};

// True when something slowed the chip down: power cap, heat, or the board's brake. Being idle and clocks that
// an administrator set are no such reason.
[[nodiscard]] bool is_throttled(std::uint64_t reasons);
// The same, by cause. At the power cap clocks fall by design; hardware throttling means that something is
// wrong.
[[nodiscard]] bool is_power_capped(std::uint64_t reasons);
[[nodiscard]] bool is_software_heat(std::uint64_t reasons);
[[nodiscard]] bool is_hardware_throttled(std::uint64_t reasons);  // slowdown, heat or power brake

class GpuMonitor {
  public:
    // `uuid` as nvidia-smi prints it. A monitor that cannot work says why and gives no states.
    explicit GpuMonitor(const std::string& uuid);
    ~GpuMonitor();
    GpuMonitor(const GpuMonitor&) = delete;
    GpuMonitor& operator=(const GpuMonitor&) = delete;

    [[nodiscard]] const std::string& why_not() const { return why_not_; }  // empty: it works
    [[nodiscard]] std::optional<GpuState> state() const;
    [[nodiscard]] unsigned max_sm_clock_mhz() const;  // 0: not known

  private:
    struct Nvml;
    std::unique_ptr<Nvml> nvml_;
    std::string why_not_;
};

}  // namespace nsa::core::tools
