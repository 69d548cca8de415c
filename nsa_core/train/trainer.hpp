// The byte-level language model (model.hpp) and its optimiser. The header is free of Torch.
//
// Numbers: weights and activations are of the dtype asked for; loss, gradient norm, AdamW's moments and, for
// the half types, a master copy of every weight are fp32 (fp64 for fp64). So nothing is cast behind the back
// of an operation as autocast would: what runs in half precision is what the GPU routes need. fp16 scales the
// loss, and a step whose gradients overflow halves the scale and is not applied.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/gates/statistics.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/train/train_smoke.hpp"

namespace nsa::core::train {

class ByteModel;

struct StepReport {
    double loss = 0;          // mean cross entropy in nats per byte, before the update
    double grad_norm = 0;     // L2 over all parameters
    bool overflowed = false;  // fp16 only: the gradients overflowed and the update was left out
};

// What makes a step useless, in words: a loss or gradient norm that is not finite.
[[nodiscard]] std::optional<std::string> step_fault(const StepReport& report, std::int64_t step);

class Trainer {
  public:
    // Weights depend on the seed only. Throws InputError for a configuration that makes no sense.
    Trainer(const NsaConfig& config, const TrainSmokeOptions& options, const RoutePolicy& policy,
            tools::DeviceKind device);
    ~Trainer();
    Trainer(Trainer&&) noexcept;
    Trainer& operator=(Trainer&&) noexcept;

    // One optimiser step on micro-batches of batch x (seq + 1) token ids, as many each time, whose gradients
    // are averaged: loss and gradient are those of one batch of them all. The device is idle when it returns.
    // After two eager steps the next ones replay a CUDA graph, where graph_choice.hpp allows it.
    StepReport step(const std::vector<std::vector<std::int64_t>>& micro_batches);

    [[nodiscard]] ByteModel& model();  // as trained so far
    [[nodiscard]] std::int64_t parameter_count() const;
    [[nodiscard]] const std::vector<std::pair<Branch, RouteChoice>>& routes() const;  // of the last step
    // Over all layers, of the last micro-batch.
    [[nodiscard]] gates::Statistics gates() const;
    [[nodiscard]] tools::AuditCounts audit() const;
    [[nodiscard]] bool captured() const;      // the last step replayed a graph
    [[nodiscard]] std::string graph() const;  // "captured, N nodes", or "eager: " and why

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::core::train
