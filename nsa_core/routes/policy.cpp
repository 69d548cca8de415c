// Environment flags to RoutePolicy. Every flag either takes effect or is refused here.
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <limits>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {
namespace {

[[noreturn]] void refuse(const char* variable, std::string_view value, std::string_view allowed) {
    throw InputError(std::string{variable} + "=\"" + std::string{value} + "\" is not understood; it can be " +
                     std::string{allowed} + ", or be left unset");
}

std::optional<bool> read_bool(const RoutePolicy::Lookup& lookup, const char* variable) {
    const char* raw = lookup(variable);
    if (!raw) return std::nullopt;
    std::string text{raw};
    for (char& c : text)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (text == "1" || text == "true") return true;
    if (text == "0" || text == "false") return false;
    refuse(variable, raw, "1 or 0 (true or false)");
}

std::int64_t read_length(const RoutePolicy::Lookup& lookup, const char* variable) {
    const char* raw = lookup(variable);
    if (!raw) return 0;
    const std::string_view text{raw};
    std::int32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
        refuse(variable, text,
               "a number of keys from 0 to " + std::to_string(std::numeric_limits<std::int32_t>::max()));
    }
    return value;
}

std::optional<Branch> read_branch(const RoutePolicy::Lookup& lookup, const char* variable) {
    const char* raw = lookup(variable);
    if (!raw) return std::nullopt;
    const std::string_view text{raw};
    if (text == "cmp") return Branch::kCompressed;
    if (text == "sel") return Branch::kSelected;
    if (text == "win") return Branch::kSliding;
    refuse(variable, text, "cmp, sel or win");
}

}  // namespace

RoutePolicy RoutePolicy::from_env() {
    return from_env([](const char* variable) -> const char* { return std::getenv(variable); });
}

RoutePolicy RoutePolicy::from_env(const Lookup& lookup) {
    const RoutePolicy policy{
        .use_fa2 = read_bool(lookup, "NSA_USE_FA2"),
        .use_fa2_win = read_bool(lookup, "NSA_USE_FA2_WIN"),
        .use_fa2_cmp = read_bool(lookup, "NSA_USE_FA2_CMP"),
        .test_fa2 = read_bool(lookup, "NSA_TEST_FA2").value_or(false),
        .win_force_dense = read_bool(lookup, "NSA_WIN_FORCE_DENSE").value_or(false),
        .fa2_force_varlen = read_bool(lookup, "NSA_FA2_FORCE_VARLEN").value_or(false),
        .fa2_force_dense = read_bool(lookup, "NSA_FA2_FORCE_DENSE").value_or(false),
        .fa2_min_len_win = read_length(lookup, "NSA_FA2_MIN_LEN_WIN"),
        .fa2_min_len_cmp = read_length(lookup, "NSA_FA2_MIN_LEN_CMP"),
        .sdpa_audit = read_bool(lookup, "NSA_SDPA_AUDIT").value_or(false),
        .force_branch = read_branch(lookup, "NSA_FORCE_BRANCH"),
    };
    if (policy.fa2_force_varlen && policy.fa2_force_dense) {
        throw InputError(
            "NSA_FA2_FORCE_VARLEN and NSA_FA2_FORCE_DENSE are both set; FlashAttention-2 takes one of the "
            "two "
            "paths, so set one of them");
    }
    return policy;
}

std::optional<bool> RoutePolicy::fa2_allowed(Branch branch) const {
    switch (branch) {
        case Branch::kSliding:
            return use_fa2_win ? use_fa2_win : use_fa2;
        case Branch::kCompressed:
            return use_fa2_cmp ? use_fa2_cmp : use_fa2;
        case Branch::kSelected:
            return std::nullopt;
    }
    return std::nullopt;
}

Route RoutePolicy::fa2_route(Branch branch) const {
    // The flag of one branch wins over the flag of all.
    if (branch == Branch::kSliding && win_force_dense) return Route::kFa2Dense;
    return fa2_force_varlen ? Route::kFa2Varlen : Route::kFa2Dense;
}

std::int64_t RoutePolicy::fa2_min_len(Branch branch) const {
    if (branch == Branch::kSliding) return fa2_min_len_win;
    return branch == Branch::kCompressed ? fa2_min_len_cmp : 0;
}

}  // namespace nsa::core
