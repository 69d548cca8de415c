#include <array>

#include "language/kinds/common_params.hpp"
#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams = table_of(
    alone(whole("samples", "4", "batches, one sample of every statistic each")), model_params(),
    std::array{whole("seq", "128", "bytes in a sequence"), whole("batch", "8", "sequences in a batch"),
               whole("layers", "2", "layers of attention and MLP", 1, 1024),
               word("gate", "sigmoid", "sigmoid|softmax", "how the gates are made"), kCompressorParams[0],
               kCompressorParams[1], kDtype, kDevice, seed("seed of weights and data"), kData});
constexpr int kBranches = 3;

class GateHealth final : public StepKind {
  public:
    std::string_view name() const override { return "gate_health"; }
    std::string_view help() const override {
        return "runs a model over data and reports how its gates stand, by layer and branch";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        if (const Result<void> fits = check_model(planned.params); !fits) return fits;
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
