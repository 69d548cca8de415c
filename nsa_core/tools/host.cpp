#include "nsa_core/tools/host.hpp"

#include <dlfcn.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace nsa::core::tools {
namespace {

std::string read_text(const char* path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::string trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return std::string{text.substr(first, text.find_last_not_of(" \t") - first + 1)};
}

// NVML is part of the driver, not of the toolkit: linking it would tie the program to hosts that have one.
std::string driver_version_from_nvml() {
    const std::unique_ptr<void, int (*)(void*)> library{dlopen("libnvidia-ml.so.1", RTLD_LAZY), dlclose};
    if (!library) return {};
    using Init = int (*)();
    using Version = int (*)(char*, unsigned);
    const auto init = reinterpret_cast<Init>(dlsym(library.get(), "nvmlInit_v2"));
    const auto shutdown = reinterpret_cast<Init>(dlsym(library.get(), "nvmlShutdown"));
    const auto version = reinterpret_cast<Version>(dlsym(library.get(), "nvmlSystemGetDriverVersion"));
    if (!init || !shutdown || !version || init() != 0) return {};
    std::array<char, 96> buffer{};
    const bool known = version(buffer.data(), buffer.size()) == 0;
    shutdown();
    return known ? buffer.data() : "";
}

}  // namespace

std::string cpu_model_in(std::string_view cpuinfo) {
    std::istringstream lines{std::string{cpuinfo}};
    for (std::string line; std::getline(lines, line);) {
        const std::size_t colon = line.find(':');
        // x86 says "model name", most ARM kernels only "CPU part".
        if (colon != std::string::npos && (line.starts_with("model name") || line.starts_with("CPU part"))) {
            return trimmed(std::string_view{line}.substr(colon + 1));
        }
    }
    return "unknown";
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Tue ...": the first word of digits and dots,
// with at least one dot.
std::string driver_version_in(std::string_view text) {
    std::istringstream words{std::string{text.substr(0, text.find('\n'))}};
    for (std::string word; words >> word;) {
        if (word.find('.') != std::string::npos &&
            word.find_first_not_of("0123456789.") == std::string::npos) {
            return word;
        }
    }
    return {};
}

HostInfo host_info() {
    HostInfo host{.cpu_model = cpu_model_in(read_text("/proc/cpuinfo"))};
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    host.cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0
                     ? CPU_COUNT(&allowed)
                     : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    host.memory_bytes =
        static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
    return host;
}

std::string nvidia_driver_version() {
    const std::string from_proc = driver_version_in(read_text("/proc/driver/nvidia/version"));
    return from_proc.empty() ? driver_version_from_nvml() : from_proc;
}

std::int64_t peak_resident_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace nsa::core::tools
