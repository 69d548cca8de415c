#include "instances/probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace nsa::instances {
namespace {

constexpr std::uint64_t kMaxGpus = 64;
constexpr double kUsableShare = 0.9;  // an "80 GB" card reports 79 to 81 thousand MiB less the driver's own

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

const std::string* find(const Facts& facts, const std::string& name) {
    const auto found = facts.find(name);
    return found == facts.end() ? nullptr : &found->second;
}

Error contradiction(std::string text) {
    return fail(ErrorCode::kProtocol, std::move(text), "probe");
}

std::string upper(std::string_view text) {
    std::string out{text};
    for (char& c : out)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

// "A100" in "NVIDIA A100-SXM4-80GB", not in "A1000".
bool has_word(const std::string& name, const std::string& word) {
    const std::string text = upper(name), wanted = upper(word);
    const auto alnum = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
    for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
        const std::size_t end = at + wanted.size();
        if ((at == 0 || !alnum(text[at - 1])) && (end == text.size() || !alnum(text[end]))) return true;
    }
    return false;
}

struct Wanted {
    std::string model;
    std::uint64_t gigabytes = 0;
};

// "A100" or "A100:80GB"; the spec reader has checked the form.
Wanted parse_gpu(const std::string& gpu) {
    Wanted wanted;
    const std::size_t colon = gpu.find(':');
    wanted.model = gpu.substr(0, colon);
    if (colon != std::string::npos) {
        std::from_chars(gpu.data() + colon + 1, gpu.data() + gpu.size(), wanted.gigabytes);
    }
    return wanted;
}

bool matches(const Gpu& gpu, const Wanted& wanted) {
    const double needed_mib = static_cast<double>(wanted.gigabytes) * 1e9 / (1 << 20) * kUsableShare;
    return has_word(gpu.name, wanted.model) && static_cast<double>(gpu.memory_mib) >= needed_mib;
}

std::string describe(const HostFacts& host) {
    if (host.gpus.empty()) return "no GPU";
    std::map<std::string, int> counts;
    for (const Gpu& gpu : host.gpus)
        ++counts[gpu.name];
    std::string text;
    for (const auto& [name, count] : counts)
        text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, name);
    return text;
}

bool is_free_choice(const language::Target& target) {
    return target.gpu.empty() || target.gpu == "any" || target.gpu == "none";
}

}  // namespace

Result<HostFacts> host_facts(const Facts& facts) {
    HostFacts host;
    const std::string* count_text = find(facts, "gpu_count");
    if (count_text == nullptr) return host;
    const std::optional<std::uint64_t> count = number(*count_text);
    if (!count || *count > kMaxGpus) return contradiction("gpu_count is \"" + *count_text + "\"");
    for (std::uint64_t i = 0; i < *count; ++i) {
        const std::string prefix = fmt::format("gpu.{}.", i);
        const std::string* name = find(facts, prefix + "name");
        if (name == nullptr)
            return contradiction("gpu_count is " + *count_text + " but " + prefix + "name is missing");
        Gpu gpu;
        gpu.name = *name;
        if (const std::string* uuid = find(facts, prefix + "uuid")) gpu.uuid = *uuid;
        if (const std::string* memory = find(facts, prefix + "memory_mib")) {
            const std::optional<std::uint64_t> mib = number(*memory);
            if (!mib) return contradiction(prefix + "memory_mib is \"" + *memory + "\"");
            gpu.memory_mib = *mib;
        }
        host.gpus.push_back(std::move(gpu));
    }
    return host;
}

std::optional<std::string> mismatch(const language::Target& target, const HostFacts& host) {
    if (is_free_choice(target)) return std::nullopt;
    const Wanted wanted = parse_gpu(target.gpu);
    const auto fitting = std::count_if(host.gpus.begin(), host.gpus.end(),
                                       [&](const Gpu& gpu) { return matches(gpu, wanted); });
    if (fitting >= target.count) return std::nullopt;
    return fmt::format("has {}; {} x {} {} asked for", describe(host), target.count, target.gpu,
                       target.count == 1 ? "is" : "are");
}

std::optional<std::string> mismatch(const language::Target& target, const Facts& facts) {
    if (is_free_choice(target)) return std::nullopt;
    if (facts.empty()) return "was not probed yet";
    const Result<HostFacts> host = host_facts(facts);
    if (!host) return "gives contradictory facts (" + host.error().text + ")";
    return mismatch(target, *host);
}

}  // namespace nsa::instances
