#include <algorithm>

#include "nsa_core/routes.hpp"
#include "nsa_core/routes/prefill_shape.hpp"

namespace nsa::core {
namespace {

// FlashAttention-2 needs Ampere or newer and keeps one head in shared memory.
constexpr int kFa2MinSm = 80;
constexpr std::int64_t kFa2MaxHeadDim = 256;

std::optional<std::string> fa2_unsupported(const RouteRequest& request) {
    if (request.branch == Branch::kSelected) {
        return "FlashAttention-2 has no mask of selected blocks per query";
    }
    if (!request.cuda) return "FlashAttention-2 needs a CUDA device, and the tensors are on the CPU";
    if (request.sm < kFa2MinSm) {
        return "FlashAttention-2 needs compute capability 8.0 or newer, and the device has " +
               std::to_string(request.sm / 10) + "." + std::to_string(request.sm % 10);
    }
    if (request.dtype != DType::kFp16 && request.dtype != DType::kBf16) {
        return "FlashAttention-2 needs fp16 or bf16, and the tensors are " + std::string{name(request.dtype)};
    }
    const std::int64_t head_dim = std::max(request.config.dk, request.config.dv);
    if (head_dim > kFa2MaxHeadDim) {
        return "FlashAttention-2 takes heads up to " + std::to_string(kFa2MaxHeadDim) +
               " wide, and these are " + std::to_string(head_dim);
    }
    return std::nullopt;
}

const char* use_flag(Branch branch, const RoutePolicy& policy) {
    if (branch == Branch::kSliding && policy.use_fa2_win) return "NSA_USE_FA2_WIN";
    if (branch == Branch::kCompressed && policy.use_fa2_cmp) return "NSA_USE_FA2_CMP";
    return "NSA_USE_FA2";
}

// Why this FA2 route must not run although it might be asked for; empty when it may.
std::string fa2_refusal(Route route, const RouteRequest& request, const RoutePolicy& policy) {
    if (const auto reason = unsupported_reason(route, request)) return *reason;
    const std::int64_t min_len = policy.fa2_min_len(request.branch);
    if (request.key_len >= min_len) return {};
    const char* flag = request.branch == Branch::kSliding ? "NSA_FA2_MIN_LEN_WIN" : "NSA_FA2_MIN_LEN_CMP";
    return std::string{flag} + "=" + std::to_string(min_len) + ", and a query sees at most " +
           std::to_string(request.key_len) + " keys";
}

}  // namespace

std::optional<std::string> unsupported_reason(Route route, const RouteRequest& request) {
    if (is_fa2(route)) return fa2_unsupported(request);
    if (route == Route::kCuda) return cuda_prefill_unsupported(request);
    if (route == Route::kSdpaCausalOneQuery && request.branch == Branch::kSelected) {
        return "sdpa_causal_one_query reproduces the published oracle of the sliding and compressed branches "
               "only";
    }
    return std::nullopt;
}

std::optional<std::string> contradiction(const RoutePolicy& policy, Branch branch, Route asked) {
    if (!is_fa2(asked)) return std::nullopt;
    const std::string subject = "route " + std::string{name(asked)} + " was asked for the " +
                                std::string{name(branch)} + " branch, but ";
    if (policy.fa2_allowed(branch) == std::optional{false}) {
        return subject + use_flag(branch, policy) + "=0 forbids FlashAttention-2 there";
    }
    if (asked == policy.fa2_route(branch)) return std::nullopt;
    if (branch == Branch::kSliding && policy.win_force_dense) {
        return subject + "NSA_WIN_FORCE_DENSE=1 forces fa2_dense";
    }
    if (policy.fa2_force_varlen) return subject + "NSA_FA2_FORCE_VARLEN=1 forces fa2_varlen";
    if (policy.fa2_force_dense) return subject + "NSA_FA2_FORCE_DENSE=1 forces fa2_dense";
    return std::nullopt;
}

RouteChoice choose_route(std::optional<Route> asked, const RouteRequest& request, const RoutePolicy& policy) {
    Route wanted = Route::kSdpa;
    if (asked) {
        wanted = *asked;
    } else if (policy.fa2_allowed(request.branch).value_or(false)) {
        wanted = policy.fa2_route(request.branch);
    }
    const std::string refusal = is_fa2(wanted) ? fa2_refusal(wanted, request, policy)
                                               : unsupported_reason(wanted, request).value_or("");
    if (!refusal.empty()) return {.asked = asked, .taken = Route::kSdpa, .reason = refusal};
    return {.asked = asked, .taken = wanted, .reason = {}};
}

}  // namespace nsa::core
