// A small byte-level language model on NSAAttention.
//
//   x = embedding(bytes);  per layer  x += attention(norm(x));  x += mlp(norm(x));  logits = head(norm(x))
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/gates/statistics.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"

namespace nsa::core::train {

struct ModelOptions {
    NsaConfig config;
    std::int64_t layers = 1;
    std::int64_t seed =
        0;  // the weights depend on nothing else: they are drawn in fp64 on the CPU and rounded
    std::optional<Route> route;  // asked of every layer; nothing: auto
};

// Not thread safe.
class ByteModel {
  public:
    ByteModel(const ModelOptions& model, const RoutePolicy& policy, at::TensorOptions options);
    ~ByteModel();
    ByteModel(ByteModel&&) noexcept;
    ByteModel& operator=(ByteModel&&) noexcept;

    // bytes [B,S] int64 on the model's device; [B,S,256]. Differentiable.
    [[nodiscard]] at::Tensor logits(const at::Tensor& bytes);

    // What training updates.
    [[nodiscard]] std::vector<at::Tensor> leaves() const;

    // Of the last pass: the routes of the last layer, and each layer's gates.
    [[nodiscard]] const std::vector<std::pair<Branch, RouteChoice>>& routes() const;
    [[nodiscard]] std::vector<gates::Statistics> gates() const;
    [[nodiscard]] tools::AuditCounts audit() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::core::train
