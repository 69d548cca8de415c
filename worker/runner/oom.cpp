#include "runner/oom.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>

#include "posix/files.hpp"
#include "posix/identity.hpp"

namespace nsa::runner {
namespace {

constexpr const char* kCgroups = "/sys/fs/cgroup";

}  // namespace

std::vector<std::string> oom_counter_files(std::string_view own_cgroups) {
    std::vector<std::string> files;
    while (!own_cgroups.empty()) {
        const std::size_t end = std::min(own_cgroups.find('\n'), own_cgroups.size());
        const std::string_view line = own_cgroups.substr(0, end);
        own_cgroups.remove_prefix(std::min(end + 1, own_cgroups.size()));
        // "4:memory:/path" (v1, controllers joined by commas) or "0::/path" (v2).
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string controllers = "," + std::string{line.substr(first + 1, second - first - 1)} + ",";
        const std::string path{line.substr(second + 1)};
        const bool unified = controllers == ",,";
        if (!unified && controllers.find(",memory,") == std::string::npos) continue;
        const std::string base = unified ? kCgroups : kCgroups + std::string{"/memory"};
        const std::string file = unified ? "/memory.events" : "/memory.oom_control";
        if (path != "/") files.push_back(base + path + file);
        files.push_back(base + file);
    }
    return files;
}

std::optional<std::uint64_t> oom_kill_count(std::string_view text) {
    constexpr std::string_view kName = "oom_kill ";
    for (std::size_t at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at + 1)) {
        if (at > 0 && text[at - 1] != '\n') continue;
        const std::string_view number = text.substr(at + kName.size());
        std::uint64_t count = 0;
        const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), count);
        if (failed == std::errc{} && end != number.data()) return count;
    }
    return std::nullopt;
}

OomCounter OomCounter::open() {
    OomCounter counter;
    const auto opens = [&](const std::string& file, const char* whose) {
        counter.file_.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        counter.whose_ = whose;
        return counter.kills().has_value();
    };
    for (const auto& file : oom_counter_files(posix::read_proc("/proc/self/cgroup"))) {
        if (opens(file, "worker's memory cgroup")) return counter;
    }
    opens("/proc/vmstat", "host");
    return counter;
}

std::optional<std::uint64_t> OomCounter::kills() const {
    constexpr std::size_t kMost = 64U << 10;
    std::string text;
    if (!file_ || !posix::read_at(file_.get(), 0, kMost, text)) return std::nullopt;
    return oom_kill_count(text);
}

std::string OomCounter::since(std::optional<std::uint64_t> before) const {
    const auto now = kills();
    if (!before || !now || *now <= *before) return {};
    const std::uint64_t count = *now - *before;
    return "the kernel's OOM killer (out of memory) killed " + std::to_string(count) +
           (count == 1 ? " process" : " processes") + " of this " + whose_ + " while it ran";
}

}  // namespace nsa::runner
