// What a probe says about a host, as types, and whether a target fits it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "language/spec.hpp"
#include "protocol/messages.hpp"

namespace nsa::instances {

struct Gpu {
    std::string name, uuid;  // "NVIDIA H200"
    std::uint64_t memory_mib = 0;
    bool operator==(const Gpu&) const = default;
};

struct HostFacts {
    std::vector<Gpu> gpus;
    std::uint64_t disk_free_bytes = 0;
    bool operator==(const HostFacts&) const = default;
};

// kProtocol when gpu_count and the gpu.N facts do not agree, or a number is none.
Result<HostFacts> host_facts(const protocol::ProbeReply& reply);

// Nothing when the host fits; else one sentence with what is asked and what is there. "any" and "none" fit
// every host; "A100" is a whole word of the GPU's name; "A100:80GB" also needs that much memory, less 10 %
// that the driver keeps. `count` GPUs must match when a model is named.
std::optional<std::string> mismatch(const language::Target& target, const HostFacts& host);

}  // namespace nsa::instances
