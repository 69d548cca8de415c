#include <algorithm>
#include <array>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams{
    ParamSchema{"seq", ParamType::kIntList, "256,512,1024", false, "",
                "lengths of the sequence, two or more"},
    ParamSchema{"passes", ParamType::kWordList, "prefill,decode,train", false, "prefill|decode|train",
                "what is run at each length"},
    ParamSchema{"routes", ParamType::kWordList, "auto", false,
                "auto|reference|sdpa|fa2_dense|fa2_varlen|cuda",
                "implementations; auto: as the NSA_ flags say"},
    ParamSchema{"dim", ParamType::kInt, "256", false, "", "width of the residual stream"},
    ParamSchema{"heads", ParamType::kInt, "8", false, "", "query heads"},
    ParamSchema{"groups", ParamType::kInt, "2", false, "", "key/value heads; divides heads"},
    ParamSchema{"dk", ParamType::kInt, "32", false, "", "width of a query and of a key"},
    ParamSchema{"dv", ParamType::kInt, "32", false, "", "width of a value"},
    ParamSchema{"batch", ParamType::kInt, "1", false, "", "sequences"},
    ParamSchema{"l", ParamType::kInt, "32", false, "", "tokens in a compression block"},
    ParamSchema{"d", ParamType::kInt, "16", false, "", "stride between compression blocks"},
    ParamSchema{"l_sel", ParamType::kInt, "64", false, "", "tokens in a selection block"},
    ParamSchema{"n", ParamType::kInt, "16", false, "", "selected blocks, forced ones included"},
    ParamSchema{"w", ParamType::kInt, "512", false, "", "sliding window in tokens"},
    ParamSchema{"dtype", ParamType::kText, "fp32", false, "fp64|fp32|fp16|bf16", "element type"},
    ParamSchema{"device", ParamType::kText, "auto", false, "auto|cpu|cuda",
                "auto: CUDA when a device is visible"},
    ParamSchema{"seed", ParamType::kInt, "0", false, "", "seed of the weights"},
};

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
        const auto& lengths = std::get<std::vector<Scalar>>(planned.params.at("seq"));
        const bool has_zero =
            std::find(lengths.begin(), lengths.end(), Scalar(std::int64_t{0})) != lengths.end();
        if (has_zero || list_size(planned.params, "seq") < 2) {
            return fail(ErrorCode::kInvalidSpec,
                        "param 'seq': expected at least two lengths above 0, for "
                        "an exponent is fitted");
        }
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
