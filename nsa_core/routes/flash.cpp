#include "nsa_core/routes/flash.hpp"

#include <ATen/ATen.h>
#include <ATen/ops/_flash_attention_forward.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"

namespace nsa::core {
namespace {

// The kernels want one width for q, k and v, in multiples of 8. Zero columns change no score and add zero
// columns to the output, which are cut off again.
std::int64_t kernel_width(std::int64_t dk, std::int64_t dv) {
    return (std::max(dk, dv) + 7) / 8 * 8;
}

// [B,heads,S,c] -> [B,S,heads,width], the kernels' layout; the last dimension becomes contiguous.
at::Tensor to_kernel_layout(const at::Tensor& x, std::int64_t width) {
    const at::Tensor padded = x.size(3) == width ? x : at::constant_pad_nd(x, {0, width - x.size(3)});
    return padded.transpose(1, 2).contiguous();
}

// Where each sequence begins in the packed rows: 0, S, 2S, ...
at::Tensor sequence_starts(std::int64_t batch, std::int64_t length, at::Device device) {
    return at::arange(0, (batch + 1) * length, length, at::TensorOptions{device}.dtype(at::kInt));
}

struct FlashCall {
    bool causal = false;
    std::optional<std::int64_t> left;   // keys visible before the query's own
    std::optional<std::int64_t> right;  // keys visible after it
};

FlashCall call_for(FlashMask mask, std::int64_t window) {
    if (mask == FlashMask::kCausal) return {.causal = true, .left = std::nullopt, .right = std::nullopt};
    // A window of w keys holds w - 1 before the query's own: left = w would see one key too many.
    if (mask == FlashMask::kWindow) return {.causal = false, .left = window - 1, .right = 0};
    return {};
}

at::Tensor run_dense(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const FlashCall& call,
                     double scale) {
    return std::get<0>(at::_flash_attention_forward(
        q, k, v, std::nullopt, std::nullopt, q.size(1), k.size(1),
        /*dropout_p=*/0.0, call.causal, /*return_debug_mask=*/false, scale, call.left, call.right));
}

at::Tensor run_packed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const FlashCall& call,
                      double scale) {
    const std::int64_t batch = q.size(0);
    const at::Tensor starts_q = sequence_starts(batch, q.size(1), q.device());
    const at::Tensor starts_k = sequence_starts(batch, k.size(1), q.device());
    const at::Tensor out = std::get<0>(at::_flash_attention_forward(
        q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), starts_q, starts_k, q.size(1), k.size(1),
        /*dropout_p=*/0.0, call.causal, /*return_debug_mask=*/false, scale, call.left, call.right));
    return out.view({batch, q.size(1), out.size(1), out.size(2)});
}

}  // namespace

at::Tensor flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, FlashMask mask,
                           std::int64_t window, double scale, Route route) {
    NsaConfig widths;
    widths.dk = q.size(3);
    widths.dv = v.size(3);
    const RouteRequest request = request_for(Branch::kSliding, widths, q, q.size(2), k.size(2));
    if (const auto reason = unsupported_reason(route, request)) throw InputError(*reason);
    TORCH_CHECK(mask == FlashMask::kNone || q.size(2) == k.size(2), "a causal mask was asked for ", q.size(2),
                " queries and ", k.size(2), " keys; it is defined here for equal numbers only");
    const std::int64_t width = kernel_width(q.size(3), v.size(3));
    const at::Tensor queries = to_kernel_layout(q, width);
    const at::Tensor keys = to_kernel_layout(k, width);
    const at::Tensor values = to_kernel_layout(v, width);
    const FlashCall call = call_for(mask, window);
    const at::Tensor out = route == Route::kFa2Varlen ? run_packed(queries, keys, values, call, scale)
                                                      : run_dense(queries, keys, values, call, scale);
    return out.narrow(-1, 0, v.size(3)).transpose(1, 2);
}

}  // namespace nsa::core
