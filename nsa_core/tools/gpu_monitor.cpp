#include "nsa_core/tools/gpu_monitor.hpp"

#include <dlfcn.h>

namespace nsa::core::tools {
namespace {

// Of nvml.h, which only a full toolkit has: 0 is success, SM is clock 1, memory 2, the chip's sensor 0.
constexpr int kSuccess = 0;
constexpr int kSmClock = 1;
constexpr int kMemoryClock = 2;
constexpr int kChipSensor = 0;
constexpr std::uint64_t kPowerCap = 0x4;
constexpr std::uint64_t kHardwareSlowdown = 0x8;
constexpr std::uint64_t kSoftwareHeat = 0x20;
constexpr std::uint64_t kHardwareHeat = 0x40;
constexpr std::uint64_t kPowerBrake = 0x80;

}  // namespace

bool is_throttled(std::uint64_t reasons) {
    return (reasons & (kPowerCap | kHardwareSlowdown | kSoftwareHeat | kHardwareHeat | kPowerBrake)) != 0;
}

bool is_power_capped(std::uint64_t reasons) {
    return (reasons & kPowerCap) != 0;
}
bool is_software_heat(std::uint64_t reasons) {
    return (reasons & kSoftwareHeat) != 0;
}
bool is_hardware_throttled(std::uint64_t reasons) {
    return (reasons & (kHardwareSlowdown | kHardwareHeat | kPowerBrake)) != 0;
}

struct GpuMonitor::Nvml {
    using Device = void*;
    void* library = dlopen("libnvidia-ml.so.1", RTLD_LAZY);
    Device device = nullptr;
    bool started = false;
    int (*init)() = load<int()>("nvmlInit_v2");
    int (*shutdown)() = load<int()>("nvmlShutdown");
    int (*by_uuid)(const char*, Device*) = load<int(const char*, Device*)>("nvmlDeviceGetHandleByUUID");
    int (*clock)(Device, int, unsigned*) = load<int(Device, int, unsigned*)>("nvmlDeviceGetClockInfo");
    // Of old drivers too, but nothing else depends on it.
    int (*max_clock)(Device, int, unsigned*) = load<int(Device, int, unsigned*)>("nvmlDeviceGetMaxClockInfo");
    int (*temperature)(Device, int,
                       unsigned*) = load<int(Device, int, unsigned*)>("nvmlDeviceGetTemperature");
    int (*power)(Device, unsigned*) = load<int(Device, unsigned*)>("nvmlDeviceGetPowerUsage");  // milliwatts
    int (*reasons)(Device, unsigned long long*) =
        load<int(Device, unsigned long long*)>("nvmlDeviceGetCurrentClocksThrottleReasons");

    Nvml() = default;
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;
    ~Nvml() {
        if (started) shutdown();
        if (library) dlclose(library);
    }

    template <class Function>
    Function* load(const char* name) const {
        return library ? reinterpret_cast<Function*>(dlsym(library, name)) : nullptr;
    }
    [[nodiscard]] bool complete() const {
        return init && shutdown && by_uuid && clock && temperature && power && reasons;
    }
};

GpuMonitor::GpuMonitor(const std::string& uuid) : nvml_{std::make_unique<Nvml>()} {
    if (!nvml_->library) {
        why_not_ = "libnvidia-ml.so.1 is not there";
    } else if (!nvml_->complete()) {
        why_not_ = "libnvidia-ml.so.1 lacks calls that are needed";
    } else if (nvml_->init() != kSuccess) {
        why_not_ = "NVML does not start";
    } else {
        nvml_->started = true;
        if (nvml_->by_uuid(uuid.c_str(), &nvml_->device) != kSuccess) why_not_ = "NVML does not know " + uuid;
    }
}

GpuMonitor::~GpuMonitor() = default;

std::optional<GpuState> GpuMonitor::state() const {
    if (!why_not_.empty()) return std::nullopt;
    GpuState state;
    unsigned milliwatts = 0;
    unsigned long long reasons = 0;
    Nvml& nvml = *nvml_;
    if (nvml.clock(nvml.device, kSmClock, &state.sm_clock_mhz) != kSuccess ||
        nvml.clock(nvml.device, kMemoryClock, &state.memory_clock_mhz) != kSuccess ||
        nvml.temperature(nvml.device, kChipSensor, &state.temperature_c) != kSuccess ||
        nvml.power(nvml.device, &milliwatts) != kSuccess || nvml.reasons(nvml.device, &reasons) != kSuccess) {
        return std::nullopt;
    }
    constexpr double kWattsPerMilliwatt = 1e-3;
    state.power_w = milliwatts * kWattsPerMilliwatt;
    state.throttle_reasons = reasons;
    return state;
}

unsigned GpuMonitor::max_sm_clock_mhz() const {
    unsigned mhz = 0;
    if (!why_not_.empty() || !nvml_->max_clock) return 0;
    return nvml_->max_clock(nvml_->device, kSmClock, &mhz) == kSuccess ? mhz : 0;
}

}  // namespace nsa::core::tools
