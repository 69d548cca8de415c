#include "nsa_core/parity/metrics.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <limits>

#include "nsa_core/geometry.hpp"

namespace nsa::core::parity {
namespace {

std::vector<std::int64_t> unravel(std::int64_t flat, at::IntArrayRef shape) {
    std::vector<std::int64_t> index(shape.size());
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        index[axis] = flat % shape[axis];
        flat /= shape[axis];
    }
    return index;
}

at::Tensor expand_groups(const at::Tensor& rows, std::int64_t heads) {
    return rows.repeat_interleave(heads / rows.size(1), 1);
}

at::Tensor positions(std::int64_t count, at::Device device) {
    return at::arange(count, at::TensorOptions{at::kLong}.device(device));
}

}  // namespace

ErrorMetrics compare(const at::Tensor& candidate, const at::Tensor& truth) {
    TORCH_CHECK(candidate.sizes() == truth.sizes(), "candidate ", candidate.sizes(), " against truth ",
                truth.sizes());
    const at::Tensor ours = candidate.detach().to(at::kCPU, at::kDouble);
    const at::Tensor theirs = truth.detach().to(at::kCPU, at::kDouble);
    const at::Tensor difference = (ours - theirs).abs();
    const double norm = theirs.norm().item<double>();
    const double error_norm = difference.norm().item<double>();
    // Where the difference is NaN or infinite it counts as larger than any number.
    const at::Tensor ranked = difference.nan_to_num(std::numeric_limits<double>::infinity());
    return {.mae = difference.mean().item<double>(),
            .max_abs = difference.max().item<double>(),
            .rel_l2 = error_norm == 0 ? 0 : error_norm / norm,
            .nan_count = ours.isnan().sum().item<std::int64_t>(),
            .inf_count = ours.isinf().sum().item<std::int64_t>(),
            .worst_index = unravel(ranked.argmax().item<std::int64_t>(), truth.sizes())};
}

Rounding rounding_of(DType dtype) {
    switch (dtype) {
        case DType::kBf16:
            return {.relative = 0x1p-8, .absolute = 0x1p-133};
        case DType::kFp16:
            return {.relative = 0x1p-11, .absolute = 0x1p-24};
        case DType::kFp32:
            return {.relative = 0x1p-24, .absolute = 0x1p-149};
        case DType::kFp64:
            break;
    }
    return {.relative = 0x1p-53, .absolute = 0};
}

double bound_ratio(const at::Tensor& ours, const at::Tensor& plain, const at::Tensor& truth, DType dtype) {
    if (truth.numel() == 0) return 0;
    const auto largest = [](const at::Tensor& x) { return x.abs().max().item<double>(); };
    const auto exact = [](const at::Tensor& x) { return x.detach().to(at::kCPU, at::kDouble); };
    const at::Tensor value = exact(truth);
    const Rounding rounding = rounding_of(dtype);
    const double allowed =
        2 * largest(exact(plain) - value) + rounding.relative * largest(value) + rounding.absolute;
    const double error = largest(exact(ours) - value);
    if (std::isfinite(error) && error <= allowed) return allowed == 0 ? 0 : error / allowed;
    return std::isfinite(error) && allowed > 0 ? error / allowed : std::numeric_limits<double>::infinity();
}

at::Generator seeded_generator(std::int64_t seed) {
    return at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
}

at::Generator second_generator(std::int64_t seed) {
    return seeded_generator(seed + (INT64_C(1) << 53));
}

at::Tensor random_normal(at::IntArrayRef shape, at::Generator& generator, at::TensorOptions options) {
    return at::randn(shape, generator, at::TensorOptions{at::kDouble}).to(options);
}

at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& mask, double scale) {
    const at::Tensor keys = expand_groups(k, q.size(1));
    const at::Tensor values = expand_groups(v, q.size(1));
    const at::Tensor scores = at::matmul(q, keys.transpose(-1, -2)) * scale;
    const at::Tensor hidden = mask.logical_not();
    const at::Tensor weights =
        at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
    return at::matmul(weights.masked_fill(hidden, 0.0), values);
}

at::Tensor sliding_mask(std::int64_t seq, std::int64_t w, at::Device device) {
    const at::Tensor query = positions(seq, device).unsqueeze(1);
    const at::Tensor key = positions(seq, device).unsqueeze(0);
    return key.le(query).logical_and(key.gt(query - w));
}

at::Tensor compressed_mask(std::int64_t seq, const NsaConfig& config, at::Device device) {
    const at::Tensor query = positions(seq, device).unsqueeze(1);
    const at::Tensor last_token =
        positions(compressed_count(seq, config), device).unsqueeze(0) * config.d + (config.l - 1);
    return last_token.le(query);
}

at::Tensor selected_mask(const at::Tensor& blocks, const NsaConfig& config) {
    const std::int64_t seq = blocks.size(2);
    const at::Tensor query = positions(seq, blocks.device()).unsqueeze(1);
    const at::Tensor key = positions(seq, blocks.device());
    const at::Tensor key_block = key.floor_divide(config.l_sel);
    // [B,G,S,n,1] against [S]: is the key in one of the query's blocks? An entry of -1 matches none.
    const at::Tensor chosen = blocks.unsqueeze(-1).eq(key_block).any(-2);
    const at::Tensor visible = chosen.logical_and(key.unsqueeze(0).le(query));
    return visible.repeat_interleave(config.heads_per_group(), 1);
}

}  // namespace nsa::core::parity
