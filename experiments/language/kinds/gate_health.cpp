#include <array>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams{
    ParamSchema{"samples", ParamType::kInt, "4", false, "", "batches, one sample of every statistic each"},
    ParamSchema{"dim", ParamType::kInt, "128", false, "", "width of the residual stream"},
    ParamSchema{"heads", ParamType::kInt, "8", false, "", "query heads"},
    ParamSchema{"groups", ParamType::kInt, "2", false, "", "key/value heads; divides heads"},
    ParamSchema{"dk", ParamType::kInt, "16", false, "", "width of a query and of a key; even"},
    ParamSchema{"dv", ParamType::kInt, "16", false, "", "width of a value"},
    ParamSchema{"seq", ParamType::kInt, "128", false, "", "bytes in a sequence"},
    ParamSchema{"batch", ParamType::kInt, "8", false, "", "sequences in a batch"},
    ParamSchema{"layers", ParamType::kInt, "2", false, "", "layers of attention and MLP"},
    ParamSchema{"gate", ParamType::kText, "sigmoid", false, "sigmoid|softmax", "how the gates are made"},
    ParamSchema{"dtype", ParamType::kText, "fp32", false, "fp64|fp32|fp16|bf16", "element type"},
    ParamSchema{"device", ParamType::kText, "auto", false, "auto|cpu|cuda",
                "auto: CUDA when a device is visible"},
    ParamSchema{"seed", ParamType::kInt, "0", false, "", "seed of weights and data"},
    ParamSchema{"data", ParamType::kText, "synthetic", false, "",
                "synthetic, or a file that is read as bytes"},
};
constexpr int kBranches = 3;

class GateHealth final : public StepKind {
  public:
    std::string_view name() const override { return "gate_health"; }
    std::string_view help() const override {
        return "runs a model over data and reports how its gates stand, by layer and branch";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        if (const Result<void> counted = at_least_one(planned.params, {"layers", "samples"}); !counted)
            return counted;
        run_nsa_core("gate-health", kParams, planned);
        const auto layers = static_cast<int>(int_param(planned.params, "layers"));
        const auto samples = static_cast<int>(int_param(planned.params, "samples"));
        for (const char* metric : {"gate_mean", "gate_low", "gate_high"})
            planned.expected.push_back({metric, layers * kBranches, samples});
        for (const char* metric : {"gate_entropy", "gate_taken_all", "gate_collapsed"})
            planned.expected.push_back({metric, layers, samples});
        add_default_check(planned, FiniteCheck{{"gate_mean", "gate_entropy"}});
        add_default_check(planned, ThresholdCheck{"gate_collapsed", Op::kEqual, 0, "", Aggregate::kMax, 0});
        return {};
    }
};

}  // namespace

const StepKind& gate_health_kind() {
    static const GateHealth kKind;
    return kKind;
}

}  // namespace nsa::language
