#include <array>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams{
    ParamSchema{"steps", ParamType::kInt, "10", false, "", "optimiser steps"},
    ParamSchema{"dim", ParamType::kInt, "128", false, "", "width of the residual stream"},
    ParamSchema{"heads", ParamType::kInt, "8", false, "", "query heads"},
    ParamSchema{"groups", ParamType::kInt, "2", false, "", "key/value heads; divides heads"},
    ParamSchema{"dk", ParamType::kInt, "16", false, "", "width of a query and of a key; even"},
    ParamSchema{"dv", ParamType::kInt, "16", false, "", "width of a value"},
    ParamSchema{"seq", ParamType::kInt, "128", false, "", "bytes in a sequence"},
    ParamSchema{"batch", ParamType::kInt, "8", false, "", "sequences in a step"},
    ParamSchema{"layers", ParamType::kInt, "1", false, "", "layers of attention and MLP"},
    ParamSchema{"lr", ParamType::kNumber, "0.001", false, "", "learning rate of AdamW"},
    ParamSchema{"dtype", ParamType::kText, "fp32", false, "fp64|fp32|fp16|bf16", "element type"},
    ParamSchema{"device", ParamType::kText, "auto", false, "auto|cpu|cuda",
                "auto: CUDA when a device is visible"},
    ParamSchema{"seed", ParamType::kInt, "0", false, "", "seed of weights and data"},
    ParamSchema{"data", ParamType::kText, "synthetic", false, "",
                "synthetic, or a file that is read as bytes"},
};

class TrainSmoke final : public StepKind {
  public:
    std::string_view name() const override { return "train_smoke"; }
    std::string_view help() const override { return "trains a small byte-level model for some steps"; }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        run_nsa_core("train-smoke", kParams, planned);
        const auto steps = static_cast<int>(int_param(planned.params, "steps"));
        for (const char* metric : {"loss", "grad_norm", "tokens_per_s", "step_ms"}) {
            planned.expected.push_back({metric, 1, steps});
        }
        planned.expected.push_back({"steps_done", 1, 1});
        planned.expected.push_back({"steps_asked", 1, 1});
        planned.quotas.push_back({"steps_done", "steps_asked"});
        add_default_check(planned, FiniteCheck{{"loss"}});
        // A gradient of exactly zero, or none, is no training, whatever the loss does.
        add_default_check(planned, ThresholdCheck{"grad_norm", Op::kGreater, 0, "", Aggregate::kMedian, 0});
        return {};
    }
};

}  // namespace

const StepKind& train_smoke_kind() {
    static const TrainSmoke kKind;
    return kKind;
}

}  // namespace nsa::language
