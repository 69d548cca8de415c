// What route cuda needs, and the chooser of its prefill kernels.
#include <algorithm>
#include <limits>

#include "nsa_core/cuda/compress/plan.hpp"
#include "nsa_core/cuda/prefill/plan.hpp"
#include "nsa_core/cuda/prefill/selected_plan.hpp"
#include "nsa_core/cuda/prefill/widths.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/routes/cuda_host.hpp"
#include "nsa_core/routes/prefill_shape.hpp"

namespace nsa::core {
namespace {

constexpr int kCudaMinSm = 80;  // mma.sync on bf16 and asynchronous copies
constexpr std::int64_t kMostTokens = std::numeric_limits<int>::max();

int narrow_int(std::int64_t value) {
    return static_cast<int>(std::min(value, kMostTokens));
}

}  // namespace

std::optional<std::string> cuda_host_unsupported(const CudaHost& host) {
    if (!host.kernels) {
        return "route cuda is not part of this nsa-core: it was built without nvcc (cmake says why)";
    }
    if (!host.cuda) return "route cuda needs a CUDA device, and the tensors are on the CPU";
    if (host.sm < kCudaMinSm) {
        return "route cuda needs compute capability 8.0 or newer, and the device has " +
               std::to_string(host.sm / 10) + "." + std::to_string(host.sm % 10);
    }
    if (host.dtype != DType::kFp16 && host.dtype != DType::kBf16) {
        return "route cuda needs fp16 or bf16 for attention, and the tensors are " +
               std::string{name(host.dtype)};
    }
    return std::nullopt;
}

cuda::PrefillShape prefill_shape(const NsaConfig& c, DType dtype, std::int64_t sequences,
                                 std::int64_t longest) {
    cuda::PrefillShape shape{.dtype = dtype == DType::kBf16 ? cuda::HalfType::kBf16 : cuda::HalfType::kFp16,
                             .batch = narrow_int(sequences),
                             .heads = narrow_int(c.heads),
                             .groups = narrow_int(c.groups),
                             .dk = narrow_int(c.dk),
                             .dv = narrow_int(c.dv),
                             .l = narrow_int(c.l),
                             .d = narrow_int(c.d),
                             .l_sel = narrow_int(c.l_sel),
                             .n = narrow_int(c.n),
                             .n_initial = narrow_int(c.n_initial),
                             .n_local = narrow_int(c.n_local),
                             .w = narrow_int(std::min(c.w, longest)),  // a longer one sees no more
                             .max_tokens = narrow_int(longest)};
    shape.tokens = sequences * shape.max_tokens;
    shape.compressed = sequences * shape.compressed_of(shape.max_tokens);
    return shape;
}

NsaConfig with_kernel_widths(NsaConfig c) {
    if (const auto widths = cuda::widths_holding(c.dk, c.dv)) {
        c.dk = widths->dk;
        c.dv = widths->dv;
    }
    return c;
}

NsaConfig with_whole_pieces(NsaConfig c) {
    constexpr std::int64_t kPiece = 8;  // elements of 16 bytes
    for (std::int64_t* width : {&c.dk, &c.dv, &c.phi_hidden})
        *width = (*width + kPiece - 1) / kPiece * kPiece;
    return c;
}

std::optional<std::string> cuda_prefill_unsupported(const RouteRequest& r) {
    if (const auto reason =
            cuda_host_unsupported({.kernels = r.kernels, .cuda = r.cuda, .sm = r.sm, .dtype = r.dtype})) {
        return reason;
    }
    if (r.length == 0) {
        return "route cuda computes whole sequences, or whole decode steps over a paged cache, and this is a "
               "step of the " +
               std::string{name(r.branch)} + " branch by itself";
    }
    if (r.length > kMostTokens) {
        return "route cuda counts tokens in 32 bits, and sequences of " + std::to_string(r.length) +
               " were asked for";
    }
    if (!cuda::widths_holding(r.config.dk, r.config.dv)) {
        return "route cuda takes heads up to dk = dv = 128, or dk = 192 with dv = 128, and these are " +
               std::to_string(r.config.dk) + " and " + std::to_string(r.config.dv);
    }
    const cuda::PrefillShape shape = prefill_shape(with_kernel_widths(r.config), r.dtype, r.batch, r.length);
    if (const auto reason = cuda::prefill_unsupported(shape)) return reason;
    if (r.branch == Branch::kCompressed && r.config.compressor == Compressor::kMlp) {
        const NsaConfig whole = with_whole_pieces(r.config);
        return cuda::compress_unsupported(prefill_shape(whole, r.dtype, r.batch, r.length), whole.phi_hidden);
    }
    if (r.branch != Branch::kSelected) return std::nullopt;
    if (const auto reason = cuda::top_n_unsupported(shape, r.sm)) return reason;
    return cuda::selected_unsupported(shape, r.sm);
}

}  // namespace nsa::core
