#include <array>

#include "language/kinds/common_params.hpp"
#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams =
    table_of(std::array{whole_list("seq", "256,512,1024", "lengths of the sequence, two or more"),
                        ParamSchema{"passes", ParamType::kWordList, "prefill,decode,train", false,
                                    "prefill|decode|train", "what is run at each length"},
                        ParamSchema{"routes", ParamType::kWordList, "auto", false,
                                    "auto|reference|sdpa|fa2_dense|fa2_varlen|cuda",
                                    "implementations; auto: as the NSA_ flags say"},
                        kDim},
             head_params("8", "32"), alone(whole("batch", "1", "sequences")), block_params("512"),
             std::array{kDtype, kDevice, seed("seed of the weights")});

// Peak memory over lengths. That bytes were counted is no proof of anything, so the author must say how fast
// is too fast, or how much too much.
class MemoryScaling final : public StepKind {
  public:
    std::string_view name() const override { return "memory_scaling"; }
    std::string_view help() const override {
        return "measures peak memory over sequence lengths and fits how it grows";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        if (!has_bound(planned)) {
            return fail(
                ErrorCode::kInvalidSpec,
                "a memory_scaling step needs a gate that bounds its memory, like checks: [exponent <= 1.1]");
        }
        if (list_size(planned.params, "seq") < 2) {
            return fail(ErrorCode::kInvalidSpec,
                        "param 'seq': expected at least two lengths, for an exponent is fitted");
        }
        if (const Result<void> fits = check_shape(planned.params); !fits) return fits;
        run_nsa_core("memory-scaling", kParams, planned);
        const int curves = list_size(planned.params, "passes") * list_size(planned.params, "routes");
        const int points = curves * list_size(planned.params, "seq");
        planned.expected.push_back({"peak_bytes", points, 1});
        planned.expected.push_back({"bytes_per_token", points, 1});
        planned.expected.push_back({"exponent", curves, 1});
        planned.expected.push_back({"exponent_last", curves, 1});
        add_default_check(planned, FiniteCheck{{"exponent"}});
        add_default_check(planned, ThresholdCheck{"peak_bytes", Op::kGreater, 0, "", Aggregate::kEach, 0});
        return {};
    }
};

}  // namespace

const StepKind& memory_scaling_kind() {
    static const MemoryScaling kKind;
    return kKind;
}

}  // namespace nsa::language
