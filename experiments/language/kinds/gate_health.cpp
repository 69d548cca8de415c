#include <array>

#include "language/kinds/common_params.hpp"
#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams = table_of(
    alone(whole("samples", "4", "batches, one sample of every statistic each")),
    alone(whole("steps", "10", "optimiser steps before the first; 0: fresh weights", 0)), model_params(),
    std::array{whole("seq", "128", "bytes in a sequence"), whole("batch", "8", "sequences in a batch"),
               whole("layers", "2", "layers of attention and MLP", 1, 1024),
               word("gate", "sigmoid", "sigmoid|softmax", "how the gates are made"), kCompressorParams[0],
               kCompressorParams[1], number("lr", "0.001", "learning rate of AdamW"), kDtype, kDevice,
               seed("seed of weights and data"), kData,
               word("route", "auto", "auto|reference|sdpa|fa2_dense|fa2_varlen|cuda",
                    "implementation; auto: as the NSA_ flags say")});
constexpr int kBranches = 3;

class GateHealth final : public StepKind {
  public:
    std::string_view name() const override { return "gate_health"; }
    std::string_view help() const override {
        return "trains a model for some steps and reports how its gates stand, by layer and branch";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        if (const Result<void> fits = check_model(planned.params); !fits) return fits;
        run_nsa_core("gate-health", kParams, planned);
        // FlashAttention-2 has no selected branch, as in train_smoke.
        const std::string route = text_param(planned.params, "route");
        if (!route.starts_with("fa2")) planned.route_asked = route;
        const auto layers = static_cast<int>(int_param(planned.params, "layers"));
        const auto samples = static_cast<int>(int_param(planned.params, "samples"));
        for (const char* metric : {"gate_mean", "gate_low", "gate_high"})
            planned.expected.push_back({metric, layers * kBranches, samples});
        for (const char* metric : {"gate_entropy", "gate_taken_all", "gate_collapsed"})
            planned.expected.push_back({metric, layers, samples});
        add_default_check(planned, FiniteCheck{{"gate_mean", "gate_entropy"}});
        if (const auto steps = static_cast<int>(int_param(planned.params, "steps")))
            expect_training(planned, steps);
        add_default_check(planned, ThresholdCheck{"gate_collapsed", Op::kEqual, 0, "", Aggregate::kMax, 0});
        return {};
    }

  private:
    // Gates that no gradient reached have not been put to the test.
    static void expect_training(PlannedCase& planned, int steps) {
        for (const char* metric : {"loss", "grad_norm"})
            planned.expected.push_back({metric, 1, steps});
        add_default_check(planned, FiniteCheck{{"loss"}});
        add_default_check(planned, ThresholdCheck{"grad_norm", Op::kGreater, 0, "", Aggregate::kMedian, 0});
    }
};

}  // namespace

const StepKind& gate_health_kind() {
    static const GateHealth kKind;
    return kKind;
}

}  // namespace nsa::language
