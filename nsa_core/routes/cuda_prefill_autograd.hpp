// Route `cuda` over whole sequences, differentiable once: what attention.hpp runs for Route::kCuda. Arguments
// are checked by the callers there.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>

#include "nsa_core/attention.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/keys_values.hpp"
#include "nsa_core/routes/cuda_prefill.hpp"

namespace nsa::core {

/// What a call takes beside its tensors. The kernels are not owned and must outlive the backward.
struct CudaCall {
    NsaConfig config;  // heads, groups and widths are those of the tensors; the kernels' own may be wider
    double scale = 0;
    std::optional<Packing> packing = {};
    const PrefillKernels* kernels = nullptr;
};

[[nodiscard]] KeysValues cuda_compress_mean(const KeysValues& rows, const CudaCall& call);

[[nodiscard]] at::Tensor cuda_sliding_attention(const at::Tensor& q, const KeysValues& rows,
                                                const CudaCall& call);

[[nodiscard]] at::Tensor cuda_compressed_attention(const at::Tensor& q, const KeysValues& rows,
                                                   const CudaCall& call);

/// The blocks that the compressed branch's scores select; no gradient.
[[nodiscard]] at::Tensor cuda_choose_blocks(const at::Tensor& q, const KeysValues& cmp, const CudaCall& call);

[[nodiscard]] at::Tensor cuda_selected_attention(const at::Tensor& q, const KeysValues& rows,
                                                 const at::Tensor& blocks, const CudaCall& call);
/// The same over lists as the kernels have them, of heads that are as wide as theirs.
[[nodiscard]] at::Tensor cuda_selected_attention(const at::Tensor& q, const KeysValues& rows,
                                                 const SelectedLists& lists, const CudaCall& call);

/// The gated sum of branches that are there, as the function below ends with it and as its backward begins:
/// gates [B,H,S,3] get a gradient. The branches, as wide as the kernels', get none: theirs never is in
/// memory.
[[nodiscard]] at::Tensor cuda_gated_sum(const at::Tensor& gates, const std::array<at::Tensor, 3>& branches,
                                        const CudaCall& call);

/// The three branches and their gated sum, the blocks chosen from the scores of the compressed one unless
/// `blocks` gives them. Saved for the backward: the inputs, the three outputs, their normalisers and the
/// blocks. Of the results only `out` carries a gradient.
[[nodiscard]] GatedAttention cuda_gated_attention(const BranchInputs& in, const at::Tensor& blocks,
                                                  const CudaCall& call);

/// The same of packed sequences, compression included: call.packing is theirs.
[[nodiscard]] at::Tensor cuda_packed_attention(const PackedInputs& in, const CudaCall& call);

}  // namespace nsa::core
