// Which implementation computes a branch or a decode step: the routes, the policy that environment flags set,
// and the chooser that answers whether a route is supported, which is taken, and why. Pure; no Torch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/numeric.hpp"

namespace nsa::core {

enum class Branch { kCompressed, kSelected, kSliding };
inline constexpr Branch kBranches[] = {Branch::kCompressed, Branch::kSelected, Branch::kSliding};

enum class Route {
    kReference,           // explicit mask, softmax and product spelled out; fp32 inside for half types
    kSdpa,                // at::scaled_dot_product_attention with an explicit mask
    kFa2Dense,            // LibTorch's FlashAttention-2, batch layout
    kFa2Varlen,           // the same kernels, packed layout with cu_seqlens
    kSdpaCausalOneQuery,  // the published oracle under suspicion: one query, is_causal = true, sees key 0
                          // only
    kCuda,                // our own kernels: whole sequences, or a whole decode step over a paged cache
};
inline constexpr Route kRoutes[] = {Route::kReference,          Route::kSdpa,
                                    Route::kFa2Dense,           Route::kFa2Varlen,
                                    Route::kSdpaCausalOneQuery, Route::kCuda};

[[nodiscard]] constexpr bool is_fa2(Route route) {
    return route == Route::kFa2Dense || route == Route::kFa2Varlen;
}

[[nodiscard]] std::string_view name(Branch branch);  // "compressed", "selected", "sliding"
[[nodiscard]] std::string_view name(Route route);    // "reference", "sdpa", "fa2_dense", ...

/// What the environment flags say. A flag that is not set leaves its field empty or at the default.
struct RoutePolicy {
    std::optional<bool> use_fa2 = {};  // NSA_USE_FA2: FA2 for sliding and compressed when the route is auto
    std::optional<bool> use_fa2_win = {};  // NSA_USE_FA2_WIN: overrides use_fa2 for sliding
    std::optional<bool> use_fa2_cmp = {};  // NSA_USE_FA2_CMP: overrides use_fa2 for compressed
    bool test_fa2 = false;                 // NSA_TEST_FA2: FA2 parity cases run only when 1
    bool win_force_dense = false;          // NSA_WIN_FORCE_DENSE: FA2 on sliding is dense, whatever else says
    bool fa2_force_varlen = false;         // NSA_FA2_FORCE_VARLEN
    bool fa2_force_dense = false;          // NSA_FA2_FORCE_DENSE
    std::int64_t fa2_min_len_win = 0;      // NSA_FA2_MIN_LEN_WIN, keys in a window; fewer fall back to sdpa
    std::int64_t fa2_min_len_cmp = 0;      // NSA_FA2_MIN_LEN_CMP, compressed tokens; fewer fall back to sdpa
    bool sdpa_audit = false;               // NSA_SDPA_AUDIT
    std::optional<Branch> force_branch = {};  // NSA_FORCE_BRANCH=cmp|sel|win: the gate is 1 there, else 0

    bool operator==(const RoutePolicy&) const = default;

    using Lookup = std::function<const char*(const char* variable)>;  // null: the variable is not set

    /// Throws InputError naming the variable, its value and the values that are understood; also when flags
    /// contradict one another.
    [[nodiscard]] static RoutePolicy from_env();
    [[nodiscard]] static RoutePolicy from_env(const Lookup& lookup);

    [[nodiscard]] std::optional<bool> fa2_allowed(Branch branch) const;  // nothing: no flag speaks of it
    [[nodiscard]] Route fa2_route(Branch branch) const;  // dense or varlen, as forced; else dense
    [[nodiscard]] std::int64_t fa2_min_len(Branch branch) const;
};

/// What a route must fit that computes one branch.
struct RouteRequest {
    Branch branch = Branch::kSliding;
    NsaConfig config = {};  // its dim and gate play no part
    DType dtype = DType::kFp32;
    bool cuda = false;     // the tensors live on a CUDA device
    int sm = 0;            // its compute capability, 10 * major + minor; 0 on the CPU
    bool kernels = false;  // this program was built with nvcc, so it holds the kernels of route cuda
    std::int64_t batch = 1;
    std::int64_t length = 0;   // tokens of a sequence, each a query; 0: a decode step of one query
    std::int64_t key_len = 0;  // keys one query can see at most: min(w, S), or the compressed tokens
};

/// Empty: the route can run this request. Otherwise why it cannot.
[[nodiscard]] std::optional<std::string> unsupported_reason(Route route, const RouteRequest& request);

/// Flags that make an explicitly asked route a usage error, in words; nothing when they agree.
[[nodiscard]] std::optional<std::string> contradiction(const RoutePolicy& policy, Branch branch, Route asked);

struct RouteChoice {
    std::optional<Route> asked = {};  // nothing: auto
    Route taken = Route::kReference;
    std::string reason;  // why `taken` is not what was asked or allowed; empty when nothing fell back
};

/// Auto: FA2 where the policy allows it and it is supported and long enough, else sdpa; cuda only when asked
/// for. An explicit route that is unsupported or too short falls back to sdpa, with the reason. Never fails:
/// sdpa runs everything.
[[nodiscard]] RouteChoice choose_route(std::optional<Route> asked, const RouteRequest& request,
                                       const RoutePolicy& policy);

/// What a route must fit that computes one decode step over a paged cache: every branch, top-n and gate.
struct StepRequest {
    NsaConfig config = {};  // its dim and gate MLP play no part
    DType dtype = DType::kBf16;
    std::int64_t page_tokens = 64;
    std::int64_t max_tokens = 0;  // of a sequence
    bool cuda = false;            // the tensors live on a CUDA device
    int sm = 0;                   // its compute capability, 10 * major + minor; 0 on the CPU
    bool kernels = false;         // this program was built with nvcc, so it holds the kernels of route cuda
};

/// Empty: the route can run such steps. `reference` and, where it fits, `cuda` do.
[[nodiscard]] std::optional<std::string> unsupported_reason(Route route, const StepRequest& request);

/// Auto: cuda where it is supported, else reference with the reason. An explicit route that is unsupported
/// falls back to reference, with the reason.
[[nodiscard]] RouteChoice choose_route(std::optional<Route> asked, const StepRequest& request);

}  // namespace nsa::core
