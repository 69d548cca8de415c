// The chooser for decode steps over a paged cache.
#include <algorithm>
#include <limits>

#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/routes/cuda_host.hpp"
#include "nsa_core/routes/decode_shape.hpp"

namespace nsa::core {
namespace {

constexpr int kFirstLargeWidth = 128;  // of keys
// Rings of keys and values of that and more; others take less than any chip from 8.0 on has.
constexpr int kLargeRingBytes = 112 * 1024;

std::optional<std::string> cuda_unsupported(const StepRequest& request) {
    if (const auto reason = cuda_host_unsupported(
            {.kernels = request.kernels, .cuda = request.cuda, .sm = request.sm, .dtype = request.dtype})) {
        return reason;
    }
    if (request.max_tokens > std::numeric_limits<int>::max()) {
        return "route cuda counts tokens in 32 bits, and sequences of " + std::to_string(request.max_tokens) +
               " were asked for";
    }
    const int shared_bytes = cuda::shared_memory_limit(request.sm);
    if (request.config.dk >= kFirstLargeWidth && shared_bytes < kLargeRingBytes) {
        return "route cuda needs more shared memory than the " + std::to_string(shared_bytes / 1024) +
               " KiB that a thread block has on compute capability " + std::to_string(request.sm / 10) + "." +
               std::to_string(request.sm % 10) + " for heads with dk = " + std::to_string(request.config.dk) +
               "; dk below " + std::to_string(kFirstLargeWidth) + " fits";
    }
    return cuda::decode_unsupported(decode_shape(request, /*batch=*/1));
}

}  // namespace

cuda::DecodeShape decode_shape(const StepRequest& request, std::int64_t batch) {
    const NsaConfig& c = request.config;
    const auto narrow = [](std::int64_t value) {
        return static_cast<int>(std::min<std::int64_t>(value, std::numeric_limits<int>::max()));
    };
    return {.dtype = request.dtype == DType::kBf16 ? cuda::HalfType::kBf16 : cuda::HalfType::kFp16,
            .batch = narrow(batch),
            .heads = narrow(c.heads),
            .groups = narrow(c.groups),
            .dk = narrow(c.dk),
            .dv = narrow(c.dv),
            .l = narrow(c.l),
            .d = narrow(c.d),
            .l_sel = narrow(c.l_sel),
            .n = narrow(c.n),
            .n_initial = narrow(c.n_initial),
            .n_local = narrow(c.n_local),
            .w = narrow(c.w),
            .page_tokens = narrow(request.page_tokens),
            .max_tokens = narrow(request.max_tokens)};
}

std::optional<std::string> unsupported_reason(Route route, const StepRequest& request) {
    if (route == Route::kReference) return std::nullopt;
    if (route == Route::kCuda) return cuda_unsupported(request);
    return "route " + std::string{name(route)} +
           " has no decode step over a paged cache; reference and cuda have one";
}

RouteChoice choose_route(std::optional<Route> asked, const StepRequest& request) {
    const Route wanted = asked.value_or(Route::kCuda);
    const std::string refusal = unsupported_reason(wanted, request).value_or("");
    return {.asked = asked, .taken = refusal.empty() ? wanted : Route::kReference, .reason = refusal};
}

}  // namespace nsa::core
