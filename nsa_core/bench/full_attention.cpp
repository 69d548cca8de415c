#include "nsa_core/bench/full_attention.hpp"

#include <ATen/ATen.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <c10/core/GradMode.h>

#include <exception>

namespace nsa::core::bench {
namespace {

// A library that lacks a shape says so by throwing; the first line of it is the reason.
Peer captured(std::string name, const std::function<void()>& work) {
    Peer peer{.name = std::move(name), .graph = nullptr, .why_not = {}};
    try {
        peer.graph = std::make_unique<Captured>(work);
    } catch (const std::exception& error) {
        const std::string text = error.what();
        peer.why_not = text.substr(0, text.find('\n'));
    }
    return peer;
}

}  // namespace

std::vector<Peer> capture_peers(const NsaConfig& c, std::int64_t batch, std::int64_t seq,
                                at::TensorOptions options) {
    const c10::NoGradGuard no_grad;
    const double scale = c.scale();
    const at::Tensor q = at::randn({batch, c.heads, 1, c.dk}, options);
    const at::Tensor k = at::randn({batch, c.groups, seq, c.dk}, options);
    const at::Tensor v = at::randn({batch, c.groups, seq, c.dv}, options);
    std::vector<Peer> peers;
    peers.push_back(captured("cudnn", [=] {
        (void)at::_scaled_dot_product_cudnn_attention(q, k, v, /*attn_bias=*/std::nullopt,
                                                      /*compute_log_sumexp=*/false, /*dropout_p=*/0.0,
                                                      /*is_causal=*/false, /*return_debug_mask=*/false,
                                                      scale);
    }));
    // Its layout is [B,S,heads,c]; the same memory serves, the values do not matter.
    const at::Tensor q_rows = q.view({batch, 1, c.heads, c.dk});
    const at::Tensor k_rows = k.view({batch, seq, c.groups, c.dk});
    const at::Tensor v_rows = v.view({batch, seq, c.groups, c.dv});
    peers.push_back(captured("fa2", [=] {
        (void)at::_flash_attention_forward(q_rows, k_rows, v_rows, std::nullopt, std::nullopt, 1, seq,
                                           /*dropout_p=*/0.0, /*is_causal=*/false,
                                           /*return_debug_mask=*/false, scale);
    }));
    return peers;
}

}  // namespace nsa::core::bench
