#include <array>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams{
    ParamSchema{"mode", ParamType::kText, "decode", false, "decode|prefill",
                "one step of the last token, or the whole sequence"},
    ParamSchema{"seq", ParamType::kIntList, "4096", false, "", "context lengths, the query's token included"},
    ParamSchema{"depth", ParamType::kIntList, "0,10,25,50,75,90,100", false, "",
                "where the needle lies, in percent of the context"},
    ParamSchema{"trials", ParamType::kInt, "4", false, "", "needles for each length and depth"},
    ParamSchema{"strength", ParamType::kNumber, "64", false, "", "score of the needle before the softmax"},
    ParamSchema{"tolerance", ParamType::kNumber, "0.02", false, "",
                "largest relative error of an output that counts as retrieved"},
    ParamSchema{"route", ParamType::kText, "auto", false, "auto|reference|sdpa|cuda",
                "of the step, or of the prefill's selected branch; sdpa: prefill only"},
    ParamSchema{"heads", ParamType::kInt, "8", false, "", "query heads"},
    ParamSchema{"groups", ParamType::kInt, "2", false, "", "key/value heads; divides heads"},
    ParamSchema{"dk", ParamType::kInt, "32", false, "",
                "width of a query and of a key; at least heads/groups"},
    ParamSchema{"dv", ParamType::kInt, "32", false, "", "width of a value"},
    ParamSchema{"l", ParamType::kInt, "32", false, "", "tokens in a compression block"},
    ParamSchema{"d", ParamType::kInt, "16", false, "", "stride between compression blocks"},
    ParamSchema{"l_sel", ParamType::kInt, "64", false, "", "tokens in a selection block"},
    ParamSchema{"n", ParamType::kInt, "16", false, "", "selected blocks, forced ones included"},
    ParamSchema{"w", ParamType::kInt, "512", false, "", "sliding window in tokens"},
    ParamSchema{"page", ParamType::kInt, "64", false, "", "tokens of a cache page"},
    ParamSchema{"dtype", ParamType::kText, "fp32", false, "fp64|fp32|fp16|bf16", "element type"},
    ParamSchema{"device", ParamType::kText, "auto", false, "auto|cpu|cuda",
                "auto: CUDA when a device is visible"},
    ParamSchema{"seed", ParamType::kInt, "0", false, "", "seed of the first trial"},
};

constexpr std::int64_t kDeepest = 100;

class Needle final : public StepKind {
  public:
    std::string_view name() const override { return "needle"; }
    std::string_view help() const override {
        return "plants a token in a long context and asks attention for it";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        for (const Scalar& depth : std::get<std::vector<Scalar>>(planned.params.at("depth"))) {
            if (std::get<std::int64_t>(depth) <= kDeepest) continue;
            return fail(
                ErrorCode::kInvalidSpec,
                "param 'depth': expected percent of the context, 0 to 100, found '" + to_string(depth) + "'");
        }
        const auto trials = static_cast<int>(int_param(planned.params, "trials"));
        if (const Result<void> counted = at_least_one(planned.params, {"trials"}); !counted) return counted;
        if (text_param(planned.params, "mode") == "decode" && text_param(planned.params, "route") == "sdpa") {
            return fail(ErrorCode::kInvalidSpec,
                        "param 'route': a decode step runs by reference, cuda or auto; sdpa goes with mode "
                        "prefill");
        }
        run_nsa_core("needle", kParams, planned);
        planned.route_asked = text_param(planned.params, "route");
        const int rows = list_size(planned.params, "seq") * list_size(planned.params, "depth");
        for (const char* rate : {"hit_rate", "accuracy", "chance_hit_rate"})
            planned.expected.push_back({rate, rows, 1});
        planned.expected.push_back({"value_error", rows, trials});
        // Deterministic and far above the noise: anything but all of them is a fault.
        for (const char* rate : {"hit_rate", "accuracy"})
            add_default_check(planned, ThresholdCheck{rate, Op::kGreaterEqual, 1, "", Aggregate::kMedian, 0});
        add_default_check(planned, FiniteCheck{{"value_error"}});
        return {};
    }
};

}  // namespace

const StepKind& needle_kind() {
    static const Needle kKind;
    return kKind;
}

}  // namespace nsa::language
