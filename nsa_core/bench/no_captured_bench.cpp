// In place of attention_bench.cpp and layer_bench.cpp in a build without nvcc.
#include "nsa_core/bench/decode_bench.hpp"

namespace nsa::core::bench {
namespace {

tools::Outcome skipped(const DecodeBenchOptions& options) {
    const StepRequest request{
        .config = config_of(options), .dtype = options.dtype, .page_tokens = options.page};
    return tools::Skipped{unsupported_reason(Route::kCuda, request).value()};
}

}  // namespace

tools::Outcome run_attention(const DecodeBenchOptions& options, tools::Output&) {
    return skipped(options);
}

tools::Outcome run_captured_layer(const DecodeBenchOptions& options, tools::Output&) {
    return skipped(options);
}

}  // namespace nsa::core::bench
