#include "language/environment.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "language/text.hpp"

namespace nsa::language {

namespace {

enum class FlagType { kSwitch, kLength, kBranch };

struct Flag {
    std::string_view name;
    FlagType type;
};

// docs/spec.md says what each one does.
constexpr std::array kFlags{
    Flag{"NSA_USE_FA2", FlagType::kSwitch},         Flag{"NSA_USE_FA2_WIN", FlagType::kSwitch},
    Flag{"NSA_USE_FA2_CMP", FlagType::kSwitch},     Flag{"NSA_TEST_FA2", FlagType::kSwitch},
    Flag{"NSA_WIN_FORCE_DENSE", FlagType::kSwitch}, Flag{"NSA_FA2_FORCE_VARLEN", FlagType::kSwitch},
    Flag{"NSA_FA2_FORCE_DENSE", FlagType::kSwitch}, Flag{"NSA_FA2_MIN_LEN_WIN", FlagType::kLength},
    Flag{"NSA_FA2_MIN_LEN_CMP", FlagType::kLength}, Flag{"NSA_SDPA_AUDIT", FlagType::kSwitch},
    Flag{"NSA_FORCE_BRANCH", FlagType::kBranch},
};

constexpr std::array<std::string_view, 5> kRefusedNames{"PATH", "BASH_ENV", "ENV", "SHELLOPTS", "IFS"};
constexpr std::array<std::string_view, 2> kRefusedPrefixes{"LD_", "PYTHON"};
constexpr std::array<std::string_view, 2> kWorkerNames{"NSA_RESULTS", "NSA_ARTIFACTS"};

bool is_variable_name(std::string_view name) {
    const auto is_letter = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    };
    return !name.empty() && is_letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9');
    });
}

std::optional<EnvFault> value_fault(const Flag& flag, std::string_view value) {
    const std::string text = std::string(flag.name) + " does not understand '" + printable(value) + "'";
    const bool digits = !value.empty() && value.size() <= 9 &&
                        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    switch (flag.type) {
        case FlagType::kSwitch:
            if (value != "0" && value != "1") return EnvFault{text, "0 or 1", {}};
            break;
        case FlagType::kLength:
            if (!digits) return EnvFault{text, "a whole number of keys, like 128", {}};
            break;
        case FlagType::kBranch:
            if (value != "cmp" && value != "sel" && value != "win")
                return EnvFault{text, "cmp, sel or win", {}};
            break;
    }
    return std::nullopt;
}

template <class Names>
bool contains(const Names& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::optional<EnvFault> env_fault(std::string_view name, std::string_view value) {
    const std::string shown = "'" + printable(name) + "'";
    if (!is_variable_name(name)) {
        return EnvFault{shown + " is no name of an environment variable",
                        "letters, digits and '_', like NSA_USE_FA2",
                        {}};
    }
    const bool refused_prefix =
        std::any_of(kRefusedPrefixes.begin(), kRefusedPrefixes.end(),
                    [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (refused_prefix || contains(kRefusedNames, name)) {
        return EnvFault{shown + " is refused: it changes which code runs on the host",
                        "a setup command, or the program's full path in 'run'",
                        {}};
    }
    if (contains(kWorkerNames, name)) return EnvFault{shown + " is set by the worker", "no such entry", {}};
    const auto has_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::any_of(value.begin(), value.end(), has_control)) {
        return EnvFault{"the value of " + shown + " has a control character", "one line of text", {}};
    }
    if (!name.starts_with("NSA_")) return std::nullopt;
    const auto flag =
        std::find_if(kFlags.begin(), kFlags.end(), [&](const Flag& known) { return known.name == name; });
    if (flag != kFlags.end()) return value_fault(*flag, value);
    std::vector<std::string_view> names;
    for (const Flag& known : kFlags)
        names.push_back(known.name);
    return EnvFault{"unknown flag " + shown, "one of " + join(names), std::string(nearest_word(name, names))};
}

std::optional<EnvFault> env_fault(const std::map<std::string, std::string>& env) {
    const auto is_on = [&](const char* name) {
        const auto found = env.find(name);
        return found != env.end() && found->second == "1";
    };
    if (is_on("NSA_FA2_FORCE_VARLEN") && is_on("NSA_FA2_FORCE_DENSE")) {
        return EnvFault{"NSA_FA2_FORCE_VARLEN and NSA_FA2_FORCE_DENSE contradict each other",
                        "at most one of them as 1",
                        {}};
    }
    return std::nullopt;
}

}  // namespace nsa::language
