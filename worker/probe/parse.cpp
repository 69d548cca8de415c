#include "probe/parse.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace nsa::probe {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

// "key<sep>value" -> value, trimmed; nothing unless the line begins with the key.
bool value_after(std::string_view line, std::string_view key, char separator, std::string& out) {
    if (!line.starts_with(key)) return false;
    const std::size_t at = line.find_first_not_of(" \t", key.size());
    if (at == std::string_view::npos || line[at] != separator) return false;
    out = trim(line.substr(at + 1));
    return true;
}

std::string unquoted(std::string_view text) {
    const bool quoted =
        text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
    return std::string{quoted ? text.substr(1, text.size() - 2) : text};
}

bool is_absent(std::string_view value) {
    return value.empty() || value == "N/A" ||
           value.starts_with("[");  // [N/A], [Not Supported], [Unknown Error]
}

}  // namespace

std::string trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos) return {};
    return std::string{text.substr(first, text.find_last_not_of(kBlank) - first + 1)};
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

std::string parse_os_release(std::string_view text) {
    std::string value;
    for (const auto line : lines_of(text)) {
        if (value_after(line, "PRETTY_NAME", '=', value)) return unquoted(value);
    }
    return {};
}

CpuInfo parse_cpuinfo(std::string_view text) {
    CpuInfo cpu;
    std::string value;
    for (const auto line : lines_of(text)) {
        if (cpu.model.empty() && value_after(line, "model name", ':', value)) cpu.model = value;
        if (value_after(line, "flags", ':', value)) {
            cpu.hypervisor = (" " + value + " ").find(" hypervisor ") != std::string::npos;
            break;  // every core says the same
        }
    }
    return cpu;
}

Facts parse_meminfo(std::string_view text) {
    Facts facts;
    std::string value;
    for (const auto line : lines_of(text)) {
        const bool total = value_after(line, "MemTotal", ':', value);
        if (!total && !value_after(line, "MemAvailable", ':', value)) continue;
        std::uint64_t kib = 0;
        const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), kib);
        if (failed == std::errc{} && end != value.data()) {
            facts[total ? "ram_bytes" : "ram_available_bytes"] = std::to_string(kib * 1024);
        }
    }
    return facts;
}

std::string parse_nvcc_version(std::string_view text) {
    constexpr std::string_view kRelease = "release ";
    const std::size_t at = text.find(kRelease);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + kRelease.size());
    return std::string{text.substr(0, text.find_first_not_of("0123456789."))};
}

std::string parse_torch_version(std::string_view text) {
    for (const auto line : lines_of(text)) {
        // "__version__ = '2.3.1'" and, in newer ones, "__version__: str = '2.3.1'".
        if (!line.starts_with("__version__")) continue;
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos) return unquoted(trim(line.substr(equals + 1)));
    }
    return {};
}

std::string parse_python_version(std::string_view text) {
    constexpr std::string_view kName = "Python ";
    if (!text.starts_with(kName)) return {};
    return trim(text.substr(kName.size(), text.find('\n') - kName.size()));
}

bool parse_kills_user_processes(std::string_view logind_conf) {
    std::string value;
    bool kills = false;  // the default of Debian and its children; later lines win
    for (const auto line : lines_of(logind_conf)) {
        if (value_after(line, "KillUserProcesses", '=', value)) {
            kills = value == "yes" || value == "true" || value == "on" || value == "1";
        }
    }
    return kills;
}

const std::vector<GpuField> kGpuFields{
    {"name", "name"},
    {"uuid", "uuid"},
    {"memory.total", "memory_mib"},
    {"memory.used", "memory_used_mib"},
    {"driver_version", "driver"},
    {"clocks.sm", "clock_sm_mhz"},
    {"clocks.mem", "clock_mem_mhz"},
    {"clocks.max.sm", "clock_sm_max_mhz"},
    {"clocks.max.mem", "clock_mem_max_mhz"},
    {"power.limit", "power_limit_w"},
    {"ecc.mode.current", "ecc"},
    {"temperature.gpu", "temperature_c"},
    {"mig.mode.current", "mig"},
    {"persistence_mode", "persistence"},
    {"vbios_version", "vbios"},
    {"pci.bus_id", "pcie_bus_id"},
    {"pcie.link.gen.max", "pcie_gen_max"},
    {"pcie.link.width.max", "pcie_width_max"},
    {"compute_cap", "compute_capability"},
    {"utilization.gpu", "utilization_percent"},
};
const std::vector<GpuField> kOldGpuFields{
    {"name", "name"},
    {"uuid", "uuid"},
    {"memory.total", "memory_mib"},
    {"driver_version", "driver"},
    {"clocks.sm", "clock_sm_mhz"},
    {"clocks.mem", "clock_mem_mhz"},
    {"power.limit", "power_limit_w"},
    {"temperature.gpu", "temperature_c"},
    {"vbios_version", "vbios"},
};

Facts no_gpus(std::string_view reason) {
    return {{"gpu_count", "0"}, {"gpu_reason", std::string{reason}}};
}

Facts parse_gpus(std::string_view csv, const std::vector<GpuField>& fields) {
    Facts facts;
    std::size_t count = 0;
    for (const auto line : lines_of(csv)) {
        if (trim(line).empty()) continue;
        if (static_cast<std::size_t>(std::count(line.begin(), line.end(), ',')) + 1 != fields.size()) {
            return no_gpus("nvidia-smi answered: " + trim(line.substr(0, 200)));
        }
        std::string_view rest = line;
        for (const auto& field : fields) {
            const std::size_t comma = rest.find(',');
            const std::string value = trim(rest.substr(0, comma));
            if (!is_absent(value)) {
                facts["gpu." + std::to_string(count) + "." + std::string{field.fact}] = value;
            }
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
        ++count;
    }
    if (count == 0) return no_gpus("nvidia-smi lists no GPU");
    facts["gpu_count"] = std::to_string(count);
    return facts;
}

}  // namespace nsa::probe
