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
    ParamSchema{"scope", ParamType::kText, "module", false, "module|attention",
                "the whole layer, or attention over a paged cache"},
    ParamSchema{"route", ParamType::kText, "auto", false, "auto|cuda",
                "auto: as the NSA_ flags say, attention by cuda"},
    ParamSchema{"page", ParamType::kInt, "64", false, "", "attention: tokens of a cache page"},
    ParamSchema{"cache", ParamType::kText, "warm", false, "warm|cold", "attention: state of the L2 cache"},
    ParamSchema{"bandwidth", ParamType::kInt, "0", false, "", "GB/s that the floor assumes; 0: measured"},
    ParamSchema{"tflops", ParamType::kInt, "0", false, "", "TFLOP/s that the floor assumes; 0: measured"},
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
        if (const Result<void> counted = at_least_one(planned.params, {"samples"}); !counted) return counted;
        run_nsa_core("decode-bench", kParams, planned);
        const int rows = list_size(planned.params, "seq");
        const std::int64_t samples = int_param(planned.params, "samples");
        const bool attention = text_param(planned.params, "scope") == "attention";
        const bool cuda = attention || text_param(planned.params, "route") == "cuda";
        if (cuda) planned.route_asked = "cuda";
        const std::vector<std::string> parts = parts_of(attention, cuda);
        std::vector<std::string> times{"ms_total"};
        times.insert(times.end(), parts.begin(), parts.end());
        for (const std::string& metric : times)
            planned.expected.push_back({metric, rows, static_cast<int>(samples)});
        add_default_check(planned, FiniteCheck{times});
        const auto fewest = static_cast<int>(std::min(samples, kFewestSamples));
        add_default_check(planned, MinSamplesCheck{"ms_total", fewest});
        // The kernels of route cuda overlap, so what their branches take alone adds up to more than the step;
        // that is worth knowing and no fault.
        if (parts.size() > 1) {
            add_default_check(planned, IdentityCheck{"ms_total", parts, kPartsTolerance},
                              attention ? Level::kInfo : Level::kWarn);
        }
        if (cuda) planned.expected.push_back({"percent_of_floor", rows, 1});
        for (const char* part : {"_total", "_cmp", "_sel", "_win"}) {
            const std::string actual = std::string("reads_actual") + part,
                              wanted = std::string("reads_expected") + part;
            planned.expected.push_back({actual, rows, 1});
            planned.expected.push_back({wanted, rows, 1});
            add_default_check(planned, IdentityCheck{actual, {wanted}, 0});
        }
        return {};
    }

  private:
    // The one kernel of the whole layer has no parts that could be launched alone.
    static std::vector<std::string> parts_of(bool attention, bool cuda) {
        if (cuda && !attention) return {"ms_rest"};
        return {"ms_cmp", "ms_sel", "ms_win", "ms_rest"};
    }
};

}  // namespace

const StepKind& decode_bench_kind() {
    static const DecodeBench kKind;
    return kKind;
}

}  // namespace nsa::language
