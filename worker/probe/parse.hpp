// From the texts that a host shows to facts. Pure: tested with captured texts.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nsa::probe {

using Facts = std::map<std::string, std::string>;  // names in docs/protocol.md

std::string trim(std::string_view text);
std::vector<std::string_view> lines_of(std::string_view text);

// /etc/os-release: PRETTY_NAME; empty when it has none.
std::string parse_os_release(std::string_view text);

// /proc/cpuinfo: model name and whether a hypervisor flag is set.
struct CpuInfo {
    std::string model;
    bool hypervisor = false;
    bool operator==(const CpuInfo&) const = default;
};
CpuInfo parse_cpuinfo(std::string_view text);

// /proc/meminfo: ram_bytes, ram_available_bytes.
Facts parse_meminfo(std::string_view text);

// `nvcc --version`: "13.0"; empty when the text holds no release.
std::string parse_nvcc_version(std::string_view text);

// torch/version.py: "2.3.1+cu121"; empty when there is no __version__.
std::string parse_torch_version(std::string_view text);

// "Python 3.11.7" -> "3.11.7".
std::string parse_python_version(std::string_view text);

// systemd's logind.conf: does it kill what a user leaves running at logout? Detached supervisors would die.
bool parse_kills_user_processes(std::string_view logind_conf);

// What one query of nvidia-smi asks for, and the fact each column becomes: gpu.<i>.<fact>.
struct GpuField {
    std::string_view query, fact;
};
extern const std::vector<GpuField> kGpuFields;
extern const std::vector<GpuField> kOldGpuFields;  // those that drivers of any age know

// `nvidia-smi --query-gpu=... --format=csv,noheader,nounits`: gpu_count and gpu.N.*; values the card does not
// have ("[N/A]") are left out. A line with another number of columns is not a GPU: gpu_count 0 and
// gpu_reason.
Facts parse_gpus(std::string_view csv, const std::vector<GpuField>& fields);

// A host without usable GPUs, and why.
Facts no_gpus(std::string_view reason);

}  // namespace nsa::probe
