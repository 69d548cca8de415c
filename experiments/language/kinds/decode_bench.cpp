#include <algorithm>
#include <array>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams{
    ParamSchema{"seq", ParamType::kIntList, "512,1024,2048", false, "",
                "sequence lengths after the timed step"},
    ParamSchema{"dim", ParamType::kInt, "256", false, "", "width of the residual stream"},
    ParamSchema{"heads", ParamType::kInt, "8", false, "", "query heads"},
    ParamSchema{"groups", ParamType::kInt, "2", false, "", "key/value heads; divides heads"},
    ParamSchema{"dk", ParamType::kInt, "32", false, "", "width of a query and of a key"},
    ParamSchema{"dv", ParamType::kInt, "32", false, "", "width of a value"},
    ParamSchema{"batch", ParamType::kInt, "1", false, "", "sequences decoded together"},
    ParamSchema{"l", ParamType::kInt, "32", false, "", "tokens in a compression block"},
    ParamSchema{"d", ParamType::kInt, "16", false, "", "stride between compression blocks"},
    ParamSchema{"l_sel", ParamType::kInt, "64", false, "", "tokens in a selection block"},
    ParamSchema{"n", ParamType::kInt, "16", false, "", "selected blocks, forced ones included"},
    ParamSchema{"w", ParamType::kInt, "512", false, "", "sliding window in tokens"},
    ParamSchema{"dtype", ParamType::kText, "fp32", false, "fp64|fp32|fp16|bf16", "element type"},
    ParamSchema{"device", ParamType::kText, "auto", false, "auto|cpu|cuda",
                "auto: CUDA when a device is visible"},
    ParamSchema{"warmup", ParamType::kInt, "10", false, "", "samples thrown away first, per length"},
    ParamSchema{"samples", ParamType::kInt, "50", false, "", "samples kept, per length"},
    ParamSchema{"seed", ParamType::kInt, "0", false, "", "seed of weights and tokens"},
};

// Branch times are measured as launches of their own; launch overhead is paid once more per part, so the sum
// may be off by this much before somebody should look.
constexpr double kPartsTolerance = 0.15;
constexpr std::int64_t kFewestSamples = 10;  // below, a median says little

class DecodeBench final : public StepKind {
  public:
    std::string_view name() const override { return "decode_bench"; }
    std::string_view help() const override {
        return "times one decode step per sequence length, whole and by branch";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        run_nsa_core("decode-bench", kParams, planned);
        const auto rows = static_cast<int>(std::get<std::vector<Scalar>>(planned.params.at("seq")).size());
        const std::int64_t samples = int_param(planned.params, "samples");
        const std::vector<std::string> times{"ms_total", "ms_cmp", "ms_sel", "ms_win", "ms_rest"};
        for (const std::string& metric : times)
            planned.expected.push_back({metric, rows, static_cast<int>(samples)});
        add_default_check(planned, FiniteCheck{times});
        const auto fewest = static_cast<int>(std::min(samples, kFewestSamples));
        add_default_check(planned, MinSamplesCheck{"ms_total", std::max(fewest, 1)});
        add_default_check(planned,
                          IdentityCheck{"ms_total", {times.begin() + 1, times.end()}, kPartsTolerance},
                          Level::kWarn);
        for (const char* part : {"_total", "_cmp", "_sel", "_win"}) {
            const std::string actual = std::string("reads_actual") + part,
                              wanted = std::string("reads_expected") + part;
            planned.expected.push_back({actual, rows, 1});
            planned.expected.push_back({wanted, rows, 1});
            add_default_check(planned, IdentityCheck{actual, {wanted}, 0});
        }
        return {};
    }
};

}  // namespace

const StepKind& decode_bench_kind() {
    static const DecodeBench kKind;
    return kKind;
}

}  // namespace nsa::language
