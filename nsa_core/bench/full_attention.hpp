// Full attention of one new token, by the libraries that Torch brings: what sparse decoding has to beat.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/routes/captured.hpp"

namespace nsa::core::bench {

struct Peer {
    std::string name;                 // "fa2", "cudnn"
    std::unique_ptr<Captured> graph;  // null: it cannot run this here
    std::string why_not;
};

/// FlashAttention-2 and cuDNN, one query of every sequence over `seq` keys of random values, contiguous
/// caches in the layout that each likes best, captured.
[[nodiscard]] std::vector<Peer> capture_peers(const NsaConfig& config, std::int64_t batch, std::int64_t seq,
                                              at::TensorOptions options);

}  // namespace nsa::core::bench
