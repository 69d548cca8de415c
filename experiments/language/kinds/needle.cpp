#include <array>

#include "language/kinds/common_params.hpp"
#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams = table_of(
    std::array{word("mode", "decode", "decode|prefill", "one step of the last token, or the whole sequence"),
               whole_list("seq", "4096", "context lengths, the query's token included", 2),
               whole_list("depth", "0,10,25,50,75,90,100", "where the needle lies, in percent of the context",
                          0, 100),
               whole("trials", "4", "needles for each length and depth", 1, 100000),
               number("strength", "64", "score of the needle before the softmax"),
               number("tolerance", "0.02", "largest relative error of an output that counts as retrieved"),
               word("route", "auto", "auto|reference|sdpa|cuda",
                    "of the step, or of the prefill's selected branch; sdpa: prefill only")},
    head_params("8", "32"), block_params("512"),
    std::array{kPage, kDtype, kDevice, seed("seed of the first trial", std::int64_t{1} << 52)});

class Needle final : public StepKind {
  public:
    std::string_view name() const override { return "needle"; }
    std::string_view help() const override {
        return "plants a token in a long context and asks attention for it";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        const auto trials = static_cast<int>(int_param(planned.params, "trials"));
        if (const Result<void> fits = check_shape(planned.params); !fits) return fits;
        const std::int64_t per_group =
            int_param(planned.params, "heads") / int_param(planned.params, "groups");
        // Each head of a group asks in a direction of its own.
        if (int_param(planned.params, "dk") < per_group) {
            return fail(ErrorCode::kInvalidSpec, "param 'dk': expected at least heads/groups, which is " +
                                                     std::to_string(per_group) + ", found '" +
                                                     std::to_string(int_param(planned.params, "dk")) + "'");
        }
        if (text_param(planned.params, "mode") == "decode") {
            if (const Result<void> fits = check_page(planned.params); !fits) return fits;
            if (text_param(planned.params, "route") == "sdpa") {
                return fail(ErrorCode::kInvalidSpec,
                            "param 'route': a decode step runs by reference, cuda or auto; sdpa goes with "
                            "mode prefill");
            }
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
