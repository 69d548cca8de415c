// The chooser for decode steps over a paged cache.
#include <limits>

#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {
namespace {

constexpr int kCudaMinSm = 80;  // mma.sync on bf16 and asynchronous copies

cuda::DecodeShape shape_of(const StepRequest& request) {
    const NsaConfig& c = request.config;
    const auto narrow = [](std::int64_t value) { return static_cast<int>(value); };
    return {.dtype = request.dtype == DType::kBf16 ? cuda::HalfType::kBf16 : cuda::HalfType::kFp16,
            .batch = 1,
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

std::optional<std::string> cuda_unsupported(const StepRequest& request) {
    if (!request.kernels) {
        return "route cuda is not part of this nsa-core: it was built without nvcc (cmake says why)";
    }
    if (!request.cuda) return "route cuda needs a CUDA device, and the tensors are on the CPU";
    if (request.sm < kCudaMinSm) {
        return "route cuda needs compute capability 8.0 or newer, and the device has " +
               std::to_string(request.sm / 10) + "." + std::to_string(request.sm % 10);
    }
    if (request.dtype != DType::kFp16 && request.dtype != DType::kBf16) {
        return "route cuda needs fp16 or bf16 for attention, and the tensors are " +
               std::string{name(request.dtype)};
    }
    if (request.max_tokens > std::numeric_limits<int>::max()) {
        return "route cuda counts tokens in 32 bits, and sequences of " + std::to_string(request.max_tokens) +
               " were asked for";
    }
    return cuda::decode_unsupported(shape_of(request));
}

}  // namespace

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
