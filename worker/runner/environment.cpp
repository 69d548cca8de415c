#include "runner/environment.hpp"

#include <algorithm>
#include <array>

#include "journal/run_dir.hpp"

namespace nsa::runner {

bool is_inherited(std::string_view name) {
    constexpr std::array<std::string_view, 7> kNames{"PATH", "HOME",   "USER",           "LOGNAME",
                                                     "LANG", "TMPDIR", "LD_LIBRARY_PATH"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end() || name.starts_with("LC_") ||
           name.starts_with("CUDA_") || name.starts_with("NVIDIA_");
}

posix::Environment step_environment(const posix::Environment& host,
                                    const std::map<std::string, std::string>& planned,
                                    const StepPlace& place) {
    posix::Environment environment;
    for (const auto& [name, value] : host) {
        if (is_inherited(name)) environment.emplace(name, value);
    }
    for (const auto& [name, value] : planned)
        environment[name] = value;
    environment["NSA_RESULTS"] = place.folder + "/" + journal::kResults;
    environment["NSA_ARTIFACTS"] = place.folder;
    environment[std::string{journal::kRunDirVariable}] = place.run_dir;
    return environment;
}

std::string expand_home(std::string text, const std::string& home) {
    if (text == "~" || text.starts_with("~/")) text.replace(0, 1, home);
    return text;
}

}  // namespace nsa::runner
