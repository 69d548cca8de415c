// The three branches together, by whatever routes they take.
#include <ATen/ATen.h>

#include "nsa_core/attention.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/cuda_branches.hpp"
#include "nsa_core/src/checks.hpp"

namespace nsa::core {
namespace {

void check(const BranchInputs& in, const at::Tensor& blocks, const NsaConfig& c) {
    check_branches("gated_attention", in);
    check_compressed_length("gated_attention", in.q, in.cmp.k, c);
    check_same_length("gated_attention", in.q, in.sel.k);
    check_same_length("gated_attention", in.q, in.win.k);
    if (blocks.defined()) check_blocks("gated_attention", blocks, in.q, in.sel.k, c);
}

}  // namespace

bool all_on_cuda(const BranchExecutions& how) {
    return how.cmp.route == Route::kCuda && how.sel.route == Route::kCuda && how.win.route == Route::kCuda;
}

KeysValues compress_mean(const KeysValues& rows, const NsaConfig& config, const Execution& how) {
    check_rows("compress_mean", rows);
    if (how.route == Route::kCuda) return compress_on_cuda(rows, config);
    return {.k = compress_mean(rows.k, config), .v = compress_mean(rows.v, config)};
}

KeysValues compress_mlp(const KeysValues& rows, const PhiPair& phi, const NsaConfig& config,
                        const Execution& how) {
    if (how.route == Route::kCuda) return compress_mlp_on_cuda(rows, phi, config);
    return {.k = compress_mlp(rows.k, phi.k, config), .v = compress_mlp(rows.v, phi.v, config)};
}

at::Tensor choose_blocks(const at::Tensor& q, const KeysValues& cmp, const NsaConfig& c,
                         const Execution& how) {
    check_heads("choose_blocks", q, cmp.k, cmp.v);
    check_compressed_length("choose_blocks", q, cmp.k, c);
    if (how.route == Route::kCuda) return blocks_on_cuda(q, cmp, c);
    return select_blocks(block_importance(q, cmp.k, 0, block_count(q.size(2), c), c), 0, c);
}

GatedAttention gated_attention(const BranchInputs& in, const NsaConfig& c, const BranchExecutions& how,
                               const at::Tensor& blocks) {
    check(in, blocks, c);
    if (all_on_cuda(how)) return gated_on_cuda(in, blocks, c);
    GatedAttention r;
    r.blocks = blocks.defined() ? blocks : choose_blocks(in.q, in.cmp, c, {});
    r.cmp = compressed_attention(in.q, in.cmp.k, in.cmp.v, c, how.cmp);
    r.sel = selected_attention(in.q, in.sel.k, in.sel.v, r.blocks, c, how.sel);
    r.win = sliding_attention(in.q, in.win.k, in.win.v, c.w, c.scale(), how.win);
    r.out = in.gates.narrow(3, 0, 1) * r.cmp + in.gates.narrow(3, 1, 1) * r.sel +
            in.gates.narrow(3, 2, 1) * r.win;
    return r;
}

}  // namespace nsa::core
