#include "nsa_core/bench/prefill_parts.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nsa_core/routes/cuda_compression_autograd.hpp"

namespace nsa::core::bench {

namespace {

using Compress = std::function<KeysValues(const KeysValues& raw)>;

Compress compressor(const PrefillInputs& in, const NsaConfig& c, const Execution& how) {
    if (!in.phi) return [=](const KeysValues& raw) { return compress_mean(raw, c, how); };
    return [=, phi = *in.phi](const KeysValues& raw) { return compress_mlp(raw, phi, c, how); };
}
Compress compressor(const PrefillInputs& in, const CudaCall& call) {
    if (!in.phi) return [=](const KeysValues& raw) { return cuda_compress_mean(raw, call); };
    return [=, phi = *in.phi](const KeysValues& raw) { return cuda_compress_mlp(raw, phi, call); };
}

}  // namespace

KeysValues compressed_tokens(const PrefillInputs& in, const NsaConfig& c, const Execution& how) {
    return compressor(in, c, how)(in.raw());
}

PartFunctions parts_by_routes(const PrefillInputs& in, const NsaConfig& c, const BranchExecutions& how) {
    const c10::NoGradGuard no_grad;
    const at::Tensor q = in.q.detach();
    const Compress compress = compressor(in, c, how.cmp);
    const KeysValues cmp = compress(in.raw());
    const at::Tensor blocks = choose_blocks(q, cmp, c, how.cmp);
    return {.cmp = cmp,
            .compress = compress,
            .compressed =
                [=](const at::Tensor& queries, const KeysValues& rows) {
                    return compressed_attention(queries, rows.k, rows.v, c, how.cmp);
                },
            .select = [=] { return std::vector{choose_blocks(q, cmp, c, how.cmp)}; },
            .selected =
                [=](const at::Tensor& queries, const KeysValues& rows) {
                    return selected_attention(queries, rows.k, rows.v, blocks, c, how.sel);
                },
            .sliding =
                [=](const at::Tensor& queries, const KeysValues& rows) {
                    return sliding_attention(queries, rows.k, rows.v, c.w, c.scale(), how.win);
                },
            .combine =
                [](const at::Tensor& gates, const std::array<at::Tensor, 3>& branches) {
                    return gates.narrow(3, 0, 1) * branches[0] + gates.narrow(3, 1, 1) * branches[1] +
                           gates.narrow(3, 2, 1) * branches[2];
                }};
}

PartFunctions parts_by_kernels(const PrefillInputs& in, const CudaCall& call) {
    const c10::NoGradGuard no_grad;
    const at::Tensor q = in.q.detach();
    const CudaPrefill kernels{call.config, call.scale, q, call.packing, *call.kernels};
    const Compress compress = compressor(in, call);
    const KeysValues cmp = compress(in.raw());
    const at::Tensor lse = kernels.compressed(q, cmp).lse;
    const SelectedLists lists = kernels.select(q, cmp.k, lse);
    return {
        .cmp = cmp,
        .compress = compress,
        .compressed = [=](const at::Tensor& queries,
                          const KeysValues& rows) { return cuda_compressed_attention(queries, rows, call); },
        .select =
            [=] {
                const SelectedLists chosen = kernels.select(q, cmp.k, lse);
                return std::vector{chosen.blocks, chosen.count};
            },
        .selected =
            [=](const at::Tensor& queries, const KeysValues& rows) {
                return cuda_selected_attention(queries, rows, lists, call);
            },
        .sliding = [=](const at::Tensor& queries,
                       const KeysValues& rows) { return cuda_sliding_attention(queries, rows, call); },
        .combine =
            [=](const at::Tensor& gates, const std::array<at::Tensor, 3>& branches) {
                return cuda_gated_sum(gates, branches, call);
            },
        .branches_have_gradients = false};
}

}  // namespace nsa::core::bench
