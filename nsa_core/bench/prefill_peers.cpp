// Full attention beside ours: the same queries over keys and values of the same shape, by the libraries that
// Torch brings.
#include <ATen/ATen.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>

#include "nsa_core/bench/prefill_pieces.hpp"

namespace nsa::core::bench {
namespace {

at::Tensor leaf(const at::Tensor& value) {
    return value.detach().requires_grad_(true);
}

}  // namespace

std::vector<Piece> full_attention_pieces(const PrefillInputs& in, double scale) {
    const at::Tensor q = leaf(in.q), k = leaf(in.k_sel), v = leaf(in.v_sel);
    // FlashAttention-2 wants [B,S,heads,c]; made once, since a layer of full attention would keep that
    // layout.
    const at::Tensor q_rows = leaf(q.transpose(1, 2).contiguous()),
                     k_rows = leaf(k.transpose(1, 2).contiguous()),
                     v_rows = leaf(v.transpose(1, 2).contiguous());
    std::vector<Piece> pieces;
    pieces.push_back(
        {.metric = "ms_cudnn",
         .forward =
             [=] {
                 return std::vector{std::get<0>(at::_scaled_dot_product_cudnn_attention(
                     q, k, v, /*attn_bias=*/std::nullopt, /*compute_log_sumexp=*/true,
                     /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false, scale))};
             },
         .leaves = {q, k, v}});
    pieces.push_back({.metric = "ms_fa2",
                      .forward =
                          [=] {
                              return std::vector{std::get<0>(at::_flash_attention_forward(
                                  q_rows, k_rows, v_rows, std::nullopt, std::nullopt, q_rows.size(1),
                                  k_rows.size(1), /*dropout_p=*/0.0, /*is_causal=*/true,
                                  /*return_debug_mask=*/false, scale))};
                          },
                      .leaves = {q_rows, k_rows, v_rows}});
    pieces.push_back({.metric = "ms_sdpa",
                      .forward =
                          [=] {
                              return std::vector{at::scaled_dot_product_attention(
                                  q, k, v, /*attn_mask=*/std::nullopt, /*dropout_p=*/0.0, /*is_causal=*/true,
                                  scale, /*enable_gqa=*/true)};
                          },
                      .leaves = {q, k, v}});
    return pieces;
}

}  // namespace nsa::core::bench
