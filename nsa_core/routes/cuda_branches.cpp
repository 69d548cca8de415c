#include "nsa_core/routes/cuda_branches.hpp"

#include <ATen/ATen.h>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/routes/cuda_compression_autograd.hpp"
#include "nsa_core/routes/cuda_prefill_autograd.hpp"
#include "nsa_core/src/checks.hpp"

namespace nsa::core {
namespace {

// The configuration with heads, groups and widths of the tensors: a branch by itself may have others.
NsaConfig shaped(NsaConfig c, std::int64_t heads, const KeysValues& rows) {
    c.heads = heads;
    c.groups = rows.k.size(1);
    c.dk = rows.k.size(3);
    c.dv = rows.v.size(3);
    return c;
}

void require_supported(Branch branch, const NsaConfig& c, const at::Tensor& q, std::int64_t length) {
    const RouteRequest request = request_for(branch, c, q, length, /*key_len=*/0);
    if (const auto reason = unsupported_reason(Route::kCuda, request)) throw InputError(*reason);
}

CudaCall call_for(Branch branch, const NsaConfig& c, double scale, const at::Tensor& q) {
    require_supported(branch, c, q, q.size(2));
    return {.config = c, .scale = scale, .packing = {}, .kernels = &cuda_prefill_kernels(q.device())};
}

void check_packed(const PackedInputs& in, const NsaConfig& c) {
    const std::int64_t tokens = in.q.size(0);
    const auto expect = [&](const char* name, const at::Tensor& x, std::int64_t heads, std::int64_t width) {
        if (x.sizes() == at::IntArrayRef{tokens, heads, width} && x.scalar_type() == in.q.scalar_type() &&
            x.device() == in.q.device()) {
            return;
        }
        throw InputError(c10::str("packed_attention: ", name, " must be [", tokens, ", ", heads, ", ", width,
                                  "] of ", in.q.scalar_type(), " on ", in.q.device(), "; got ", x.sizes(),
                                  " of ", x.scalar_type(), " on ", x.device()));
    };
    expect("q", in.q, c.heads, c.dk);
    for (const KeysValues* rows : {&in.raw, &in.sel, &in.win}) {
        expect("keys", rows->k, c.groups, c.dk);
        expect("values", rows->v, c.groups, c.dv);
    }
    expect("gates", in.gates, c.heads, 3);
    if (in.cu_tokens.device() != in.q.device()) {
        throw InputError(c10::str("packed_attention: cu_tokens must be on ", in.q.device(),
                                  ", as q is; it is on ", in.cu_tokens.device()));
    }
    if (in.phi.has_value() != (c.compressor == Compressor::kMlp))
        throw InputError("packed_attention: weights of phi go with the compressor mlp, and only with it");
    if (!in.phi) return;
    check_phi("packed_attention, keys", in.raw.k, in.phi->k, c);
    check_phi("packed_attention, values", in.raw.v, in.phi->v, c);
}

}  // namespace

KeysValues compress_on_cuda(const KeysValues& rows, const NsaConfig& config) {
    // Heads play no part: one a group.
    const NsaConfig c = shaped(config, rows.k.size(1), rows);
    return cuda_compress_mean(rows, call_for(Branch::kCompressed, c, config.scale(), rows.k));
}

KeysValues compress_mlp_on_cuda(const KeysValues& rows, const PhiPair& phi, const NsaConfig& config) {
    NsaConfig c = shaped(config, rows.k.size(1), rows);
    c.compressor = Compressor::kMlp;
    check_phi("compress_mlp, keys", rows.k, phi.k, c);
    check_phi("compress_mlp, values", rows.v, phi.v, c);
    return cuda_compress_mlp(rows, phi, call_for(Branch::kCompressed, c, config.scale(), rows.k));
}

at::Tensor sliding_on_cuda(const at::Tensor& q, const KeysValues& rows, std::int64_t w, double scale) {
    NsaConfig c = shaped({}, q.size(1), rows);
    c.w = w;
    return cuda_sliding_attention(q, rows, call_for(Branch::kSliding, c, scale, q));
}

at::Tensor compressed_on_cuda(const at::Tensor& q, const KeysValues& rows, const NsaConfig& config) {
    const NsaConfig c = shaped(config, q.size(1), rows);
    return cuda_compressed_attention(q, rows, call_for(Branch::kCompressed, c, config.scale(), q));
}

at::Tensor blocks_on_cuda(const at::Tensor& q, const KeysValues& cmp, const NsaConfig& config) {
    const CudaCall call = call_for(Branch::kSelected, shaped(config, q.size(1), cmp), config.scale(), q);
    return cuda_choose_blocks(q, cmp, call);
}

at::Tensor selected_on_cuda(const at::Tensor& q, const KeysValues& rows, const at::Tensor& blocks,
                            const NsaConfig& config) {
    const CudaCall call = call_for(Branch::kSelected, shaped(config, q.size(1), rows), config.scale(), q);
    return cuda_selected_attention(q, rows, blocks, call);
}

GatedAttention gated_on_cuda(const BranchInputs& in, const at::Tensor& blocks, const NsaConfig& config) {
    // The selected branch needs all that the others need.
    const CudaCall call =
        call_for(Branch::kSelected, shaped(config, in.q.size(1), in.sel), config.scale(), in.q);
    return cuda_gated_attention(in, blocks, call);
}

at::Tensor packed_attention(const PackedInputs& in, const NsaConfig& c) {
    check_packed(in, c);
    require_supported(Branch::kSelected, c, in.q.unsqueeze(0), in.longest);
    require_supported(Branch::kCompressed, c, in.q.unsqueeze(0), in.longest);
    return cuda_packed_attention(in, {.config = c,
                                      .scale = c.scale(),
                                      .packing = Packing::of(in.cu_tokens, in.longest, in.q.size(0), c),
                                      .kernels = &cuda_prefill_kernels(in.q.device())});
}

}  // namespace nsa::core
