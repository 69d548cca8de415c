// Params that several kinds have, with the bounds of nsa-core's flags and configuration. Private to kinds/.
#pragma once

#include <algorithm>
#include <array>

#include "language/kind.hpp"

namespace nsa::language {

inline constexpr std::int64_t kMany = 1 << 20;
inline constexpr std::int64_t kMostSamples = 1000000;
inline constexpr std::int64_t kMostTeras = kMany;  // GB/s or TFLOP/s

constexpr ParamSchema whole(std::string_view name, std::string_view fallback, std::string_view help,
                            std::int64_t least = 1, std::int64_t most = kMany) {
    return {name, ParamType::kInt, fallback, false, "", help, least, most};
}
constexpr ParamSchema whole_list(std::string_view name, std::string_view fallback, std::string_view help,
                                 std::int64_t least = 1, std::int64_t most = kMany) {
    return {name, ParamType::kIntList, fallback, false, "", help, least, most};
}
constexpr ParamSchema number(std::string_view name, std::string_view fallback, std::string_view help) {
    return {name, ParamType::kNumber, fallback, false, "", help};
}
constexpr ParamSchema word(std::string_view name, std::string_view fallback, std::string_view one_of,
                           std::string_view help) {
    return {name, ParamType::kText, fallback, false, one_of, help};
}

constexpr ParamSchema seed(std::string_view help, std::int64_t most = std::int64_t{1} << 53) {
    return whole("seed", "0", help, 0, most);
}
inline constexpr ParamSchema kDim = whole("dim", "256", "width of the residual stream", 1, 65536);
inline constexpr ParamSchema kPage = whole("page", "64", "tokens of a cache page, a multiple of l_sel");
inline constexpr ParamSchema kDtype = word("dtype", "fp32", "fp64|fp32|fp16|bf16", "element type");
inline constexpr ParamSchema kDevice =
    word("device", "auto", "auto|cpu|cuda", "auto: CUDA when a device is visible");
inline constexpr ParamSchema kData =
    word("data", "synthetic", "", "synthetic, or a file that is read as bytes");
inline constexpr std::array kFloorParams{
    whole("bandwidth", "0", "GB/s that the floor assumes; 0: measured", 0, kMostTeras),
    whole("tflops", "0", "TFLOP/s that the floor assumes; 0: measured", 0, kMostTeras)};

constexpr std::array<ParamSchema, 4> head_params(std::string_view heads, std::string_view width) {
    constexpr std::int64_t kMost = 1024;
    return {whole("heads", heads, "query heads", 1, kMost),
            whole("groups", "2", "key/value heads; divides heads", 1, kMost),
            whole("dk", width, "width of a query and of a key", 1, kMost),
            whole("dv", width, "width of a value", 1, kMost)};
}
constexpr std::array<ParamSchema, 5> block_params(std::string_view window) {
    return {whole("l", "32", "tokens in a compression block"),
            whole("d", "16", "stride between compression blocks; divides l and l_sel"),
            whole("l_sel", "64", "tokens in a selection block"),
            whole("n", "16", "selected blocks, the three forced ones included", 3),
            whole("w", window, "sliding window in tokens")};
}
// How a layer compresses.
inline constexpr std::array kCompressorParams{
    word("compressor", "mean", "mean|mlp", "blocks by their mean, or by a learnable MLP"),
    whole("phi_hidden", "64", "mlp: width inside the compressor", 1, 65536)};

// Of the byte-level model, whose positions are rotary.
constexpr std::array<ParamSchema, 5> model_params() {
    std::array<ParamSchema, 5> params{whole("dim", "128", kDim.help, 1, kDim.most)};
    const std::array<ParamSchema, 4> heads = head_params("8", "16");
    std::copy(heads.begin(), heads.end(), params.begin() + 1);
    params[3].help = "width of a query and of a key; even";
    return params;
}

constexpr std::array<ParamSchema, 1> alone(const ParamSchema& param) {
    return {param};
}

// One table of several.
template <std::size_t... kSizes>
constexpr std::array<ParamSchema, (kSizes + ...)> table_of(const std::array<ParamSchema, kSizes>&... parts) {
    std::array<ParamSchema, (kSizes + ...)> all{};
    auto end = all.begin();
    ((end = std::copy(parts.begin(), parts.end(), end)), ...);
    return all;
}

// Of decode_bench and prefill_bench, behind their lengths.
constexpr auto bench_params(std::string_view warmup, std::string_view samples) {
    return table_of(head_params("8", "32"), alone(whole("batch", "1", "sequences at a time")),
                    block_params("512"),
                    std::array{kDtype, kDevice,
                               whole("warmup", warmup, "samples thrown away first, per row", 0, kMostSamples),
                               whole("samples", samples, "samples kept, per row", 1, kMostSamples),
                               seed("seed of weights and inputs")});
}

}  // namespace nsa::language
