// In place of attention_bench.cpp in a build without nvcc.
#include "nsa_core/bench/decode_bench.hpp"

namespace nsa::core::bench {

tools::Outcome run_attention(const DecodeBenchOptions& options, tools::Output&) {
    const StepRequest request{
        .config = config_of(options), .dtype = options.dtype, .page_tokens = options.page};
    return tools::Skipped{unsupported_reason(Route::kCuda, request).value()};
}

}  // namespace nsa::core::bench
