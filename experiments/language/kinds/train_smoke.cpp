#include <array>

#include "language/kinds/common_params.hpp"
#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams = table_of(
    alone(whole("steps", "10", "optimiser steps", 1, std::int64_t{1} << 40)), model_params(),
    std::array{whole("seq", "128", "bytes in a sequence"), whole("batch", "8", "sequences in a micro-batch"),
               whole("accumulate", "1", "micro-batches in a step, gradients averaged"),
               whole("layers", "1", "layers of attention and MLP", 1, 1024),
               number("lr", "0.001", "learning rate of AdamW"), kDtype, kDevice,
               seed("seed of weights and data"), kData,
               word("gate", "sigmoid", "sigmoid|softmax", "how the gates are made"), kCompressorParams[0],
               kCompressorParams[1],
               word("route", "auto", "auto|reference|sdpa|fa2_dense|fa2_varlen|cuda",
                    "implementation; auto: as the NSA_ flags say"),
               word("compare_route", "none", "none|reference|sdpa|fa2_dense|fa2_varlen|cuda",
                    "trains again by this route and compares the losses"),
               word("graph", "auto", "auto|on|off",
                    "steps as replays of a CUDA graph; auto: where every branch takes route cuda"),
               number("band", "0.01",
                      "compare_route: how far the losses of a step may lie apart, as a part of the other "
                      "route's")});
// All but the band, which is a check and no flag of nsa-core.
constexpr std::span<const ParamSchema> kFlags{kParams.data(), kParams.size() - 1};

class TrainSmoke final : public StepKind {
  public:
    std::string_view name() const override { return "train_smoke"; }
    std::string_view help() const override { return "trains a small byte-level model for some steps"; }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step& step, PlannedCase& planned) const override {
        const std::string route = text_param(planned.params, "route");
        const std::string compared = text_param(planned.params, "compare_route");
        if (compared == "none" && step.params.contains("band"))
            return fail(ErrorCode::kInvalidSpec,
                        "param 'band': it bounds a comparison; give 'compare_route' too");
        if (compared == route)
            return fail(ErrorCode::kInvalidSpec,
                        "param 'compare_route': '" + compared + "' is the route itself; expected another");
        if (const Result<void> fits = check_model(planned.params); !fits) return fits;
        run_nsa_core("train-smoke", kFlags, planned);
        // FlashAttention-2 has no selected branch, so not every branch takes it; nsa-core skips where the
        // others do not.
        if (!route.starts_with("fa2")) planned.route_asked = route;
        const auto steps = static_cast<int>(int_param(planned.params, "steps"));
        for (const char* metric : {"loss", "grad_norm", "tokens_per_s", "step_ms", "gate_entropy"}) {
            planned.expected.push_back({metric, 1, steps});
        }
        planned.expected.push_back({"gate_mean", 3, steps});
        planned.expected.push_back({"steps_done", 1, 1});
        planned.expected.push_back({"steps_asked", 1, 1});
        planned.quotas.push_back({"steps_done", "steps_asked"});
        add_default_check(planned, FiniteCheck{{"loss"}});
        // A gradient of exactly zero, or none, is no training, whatever the loss does.
        add_default_check(planned, ThresholdCheck{"grad_norm", Op::kGreater, 0, "", Aggregate::kMedian, 0});
        add_default_check(planned, ThresholdCheck{"gate_collapsed", Op::kEqual, 0, "", Aggregate::kMax, 0},
                          Level::kWarn);
        if (compared != "none") expect_the_same_curve(planned, steps);
        return {};
    }

  private:
    static void expect_the_same_curve(PlannedCase& planned, int steps) {
        const double band = std::get<double>(std::get<Scalar>(planned.params.at("band")));
        planned.expected.push_back({"loss_gap", 1, steps});
        add_default_check(planned, ThresholdCheck{"loss_gap", Op::kLessEqual, band, "", Aggregate::kMax, 0});
    }
};

}  // namespace

const StepKind& train_smoke_kind() {
    static const TrainSmoke kKind;
    return kKind;
}

}  // namespace nsa::language
