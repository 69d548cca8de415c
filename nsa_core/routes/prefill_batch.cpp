#include "nsa_core/routes/prefill_batch.hpp"

#include <ATen/ATen.h>

#include <string>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/prefill_shape.hpp"

namespace nsa::core {

PrefillBatch PrefillBatch::of(const NsaConfig& c, const at::Tensor& like,
                              const std::optional<Packing>& packing) {
    PrefillBatch b{
        .shape = {}, .sequences = {}, .batch = like.size(0), .length = like.size(2), .compressed = 0};
    if (packing && b.batch != 1) {
        throw InputError("packed sequences are one batch of 1, and this one is of " +
                         std::to_string(b.batch));
    }
    if (like.scalar_type() != at::kBFloat16 && like.scalar_type() != at::kHalf) {
        throw InputError(std::string{"the prefill kernels take fp16 and bf16, not "} +
                         c10::toString(like.scalar_type()));
    }
    b.compressed = packing ? packing->compressed : compressed_count(b.length, c);
    const DType dtype = like.scalar_type() == at::kBFloat16 ? DType::kBf16 : DType::kFp16;
    b.shape = prefill_shape(c, dtype, packing ? packing->cu_tokens.size(0) - 1 : b.batch,
                            packing ? packing->longest : b.length);
    b.shape.tokens = b.batch * b.length;
    b.shape.compressed = b.batch * b.compressed;
    b.sequences = {.max_tokens = b.shape.max_tokens,
                   .max_compressed = b.shape.compressed_of(b.shape.max_tokens),
                   .cu_tokens = packing ? packing->cu_tokens.const_data_ptr<int>() : nullptr,
                   .cu_compressed = packing ? packing->cu_compressed.const_data_ptr<int>() : nullptr};
    return b;
}

}  // namespace nsa::core
