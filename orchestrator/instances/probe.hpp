// What a probe says about a host, as types, and whether a target fits it. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "language/result.hpp"
#include "language/spec.hpp"

namespace nsa::instances {

using Facts = std::map<std::string, std::string>;  // as in protocol::ProbeReply

struct Gpu {
    std::string name, uuid;        // "NVIDIA H200"
    std::uint64_t memory_mib = 0;  // 0: the probe could not tell
    bool operator==(const Gpu&) const = default;
};

struct HostFacts {
    std::vector<Gpu> gpus;
    bool operator==(const HostFacts&) const = default;
};

// kProtocol when gpu_count and the gpu.N facts do not agree, or a number is none.
Result<HostFacts> host_facts(const Facts& facts);

// Nothing when the host fits; else why not, to be read after its name: "has 1 x NVIDIA T4; 2 x A100 are asked
// for". "any" and "none" fit every host; "A100" is a whole word of the GPU's name, whatever its case;
// "A100:80GB" also needs that much memory, less 10 % that drivers keep for themselves. `count` GPUs must
// match a named model.
std::optional<std::string> mismatch(const language::Target& target, const HostFacts& host);

// The same from the facts themselves; empty facts are a host that was not probed yet. scheduler::Mismatch.
std::optional<std::string> mismatch(const language::Target& target, const Facts& facts);

}  // namespace nsa::instances
