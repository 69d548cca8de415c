#include "nsa_core/tools/probe.hpp"

#include <iostream>

#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/host.hpp"

namespace nsa::core::tools {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;  // name and JSON value

std::string json_object(const Fields& fields) {
    std::string text;
    for (const auto& [name, value] : fields) {
        text += text.empty() ? "{" : ",";
        text += json_text(name) + ":" + value;
    }
    return text + "}";
}

std::string gpus_json(const std::vector<GpuInfo>& gpus) {
    std::string text = "[";
    for (const GpuInfo& gpu : gpus) {
        if (text.size() > 1) text += ",";
        text += json_object({{"name", json_text(gpu.name)},
                             {"uuid", json_text(gpu.uuid)},
                             {"sm", std::to_string(gpu.sm)},
                             {"memory_bytes", std::to_string(gpu.memory_bytes)}});
    }
    return text + "]";
}

void write_facts(Output& output, const Fields& text_fields, const HostInfo& host,
                 const std::vector<GpuInfo>& gpus) {
    for (const auto& [name, value] : text_fields)
        output.results.write(Fact{.name = name, .value = value});
    output.results.write(Fact{.name = "cpu_model", .value = host.cpu_model});
    output.results.write(Fact{.name = "cpu_cores", .value = std::to_string(host.cores)});
    output.results.write(Fact{.name = "memory_bytes", .value = std::to_string(host.memory_bytes)});
    output.results.write(Fact{.name = "gpu_count", .value = std::to_string(gpus.size())});
    for (std::size_t i = 0; i < gpus.size(); ++i) {
        const Labels labels{{"gpu", std::to_string(i)}};
        output.results.write(Fact{.name = "gpu_name", .value = gpus[i].name, .labels = labels});
        output.results.write(Fact{.name = "gpu_uuid", .value = gpus[i].uuid, .labels = labels});
        output.results.write(Fact{.name = "gpu_sm", .value = std::to_string(gpus[i].sm), .labels = labels});
        output.results.write(Fact{
            .name = "gpu_memory_bytes", .value = std::to_string(gpus[i].memory_bytes), .labels = labels});
    }
}

}  // namespace

void add_flags(FlagTable&, ProbeOptions&) {}

Outcome run(const ProbeOptions&, Output& output) {
    const HostInfo host = host_info();
    const std::vector<GpuInfo> gpus = visible_gpus();
    const Fields versions{{"nsa_core_version", NSA_CORE_VERSION},
                          {"torch_version", torch_version()},
                          {"cuda_version", cuda_version()},
                          {"cudnn_version", cudnn_version()},
                          {"driver", nvidia_driver_version()}};
    write_facts(output, versions, host, gpus);

    Fields fields;
    for (const auto& [name, value] : versions)
        fields.emplace_back(name, json_text(value));
    fields.emplace_back("cpu", json_object({{"model", json_text(host.cpu_model)},
                                            {"cores", std::to_string(host.cores)},
                                            {"memory_bytes", std::to_string(host.memory_bytes)}}));
    fields.emplace_back("gpus", gpus_json(gpus));
    std::cout << json_object(fields) << std::endl;
    return Done{};
}

std::string version_line() {
    const std::string cuda = cuda_version();
    return std::string{"nsa-core "} + NSA_CORE_VERSION + " (torch " + torch_version() +
           (cuda.empty() ? ", without CUDA)" : ", CUDA " + cuda + ")");
}

}  // namespace nsa::core::tools
