#include <algorithm>
#include <array>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams{
    ParamSchema{"scope", ParamType::kText, "attention", false, "attention|module",
                "branches, top-n and gate, or the whole layer"},
    ParamSchema{"pass", ParamType::kText, "all", false, "all|forward|backward|step",
                "step: forward and backward in one measurement"},
    ParamSchema{"route", ParamType::kText, "auto", false, "auto|reference|sdpa|fa2_dense|fa2_varlen|cuda",
                "auto: as the NSA_ flags say"},
    ParamSchema{"seq", ParamType::kIntList, "512,1024", false, "", "sequence lengths"},
    ParamSchema{"dim", ParamType::kInt, "256", false, "", "module: width of the residual stream"},
    ParamSchema{"heads", ParamType::kInt, "8", false, "", "query heads"},
    ParamSchema{"groups", ParamType::kInt, "2", false, "", "key/value heads; divides heads"},
    ParamSchema{"dk", ParamType::kInt, "32", false, "", "width of a query and of a key"},
    ParamSchema{"dv", ParamType::kInt, "32", false, "", "width of a value"},
    ParamSchema{"batch", ParamType::kInt, "1", false, "", "sequences at a time"},
    ParamSchema{"l", ParamType::kInt, "32", false, "", "tokens in a compression block"},
    ParamSchema{"d", ParamType::kInt, "16", false, "", "stride between compression blocks"},
    ParamSchema{"l_sel", ParamType::kInt, "64", false, "", "tokens in a selection block"},
    ParamSchema{"n", ParamType::kInt, "16", false, "", "selected blocks, forced ones included"},
    ParamSchema{"w", ParamType::kInt, "512", false, "", "sliding window in tokens"},
    ParamSchema{"dtype", ParamType::kText, "fp32", false, "fp64|fp32|fp16|bf16", "element type"},
    ParamSchema{"device", ParamType::kText, "auto", false, "auto|cpu|cuda",
                "auto: CUDA when a device is visible"},
    ParamSchema{"warmup", ParamType::kInt, "3", false, "", "samples thrown away first, per row"},
    ParamSchema{"samples", ParamType::kInt, "20", false, "", "samples kept, per row"},
    ParamSchema{"seed", ParamType::kInt, "0", false, "", "seed of weights and inputs"},
    ParamSchema{"queries", ParamType::kText, "independent", false, "independent|correlated",
                "correlated: neighbours ask, and select, alike"},
    ParamSchema{"cache", ParamType::kText, "warm", false, "warm|cold", "state of the last cache"},
    ParamSchema{"peers", ParamType::kText, "on", false, "on|off", "attention: full attention beside ours"},
    ParamSchema{"bandwidth", ParamType::kInt, "0", false, "", "GB/s that the floor assumes; 0: measured"},
    ParamSchema{"tflops", ParamType::kInt, "0", false, "", "TFLOP/s that the floor assumes; 0: measured"},
};

constexpr std::int64_t kFewestSamples = 10;        // below, a median says little
constexpr double kMostApartPercent = 5;            // intervals of the total and of the sum of its parts
constexpr double kMostPartsError = 1e-2;           // low precision may round differently on the way
constexpr std::string_view kSelect = "ms_select";  // has no backward pass

class PrefillBench final : public StepKind {
  public:
    std::string_view name() const override { return "prefill_bench"; }
    std::string_view help() const override {
        return "times attention over whole sequences, forward and backward, whole and by branch";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        const std::int64_t samples = int_param(planned.params, "samples");
        if (const Result<void> counted = at_least_one(planned.params, {"samples"}); !counted) return counted;
        run_nsa_core("prefill-bench", kParams, planned);
        const std::string& route = text_param(planned.params, "route");
        // FlashAttention-2 has no selected branch; nsa-core refuses every other difference by itself.
        if (!route.starts_with("fa2_")) planned.route_asked = route;
        expect_rows(planned, static_cast<int>(samples));
        add_default_check(planned, FiniteCheck{{"ms_total", "ms_parts", "percent_of_floor"}});
        add_default_check(planned,
                          MinSamplesCheck{"ms_total", static_cast<int>(std::min(samples, kFewestSamples))});
        add_default_check(planned, at_most("parts_error", kMostPartsError));
        add_default_check(planned, ThresholdCheck{"invalid", Op::kEqual, 0, "", Aggregate::kMedian, 0});
        add_default_check(planned, ThresholdCheck{"degraded", Op::kEqual, 0, "", Aggregate::kMedian, 0},
                          Level::kWarn);
        add_default_check(planned, at_most("parts_gap_percent", kMostApartPercent), Level::kWarn);
        return {};
    }

  private:
    static ThresholdCheck at_most(const char* metric, double limit) {
        return {metric, Op::kLessEqual, limit, "", Aggregate::kMedian, 0};
    }

    static std::vector<std::string> parts_of(const Params& params) {
        std::vector<std::string> parts{"ms_compress", "ms_cmp", "ms_select",
                                       "ms_sel",      "ms_win", "ms_combine"};
        if (text_param(params, "scope") == "module") parts.insert(parts.begin(), "ms_project");
        return parts;
    }

    static void expect_rows(PlannedCase& planned, int samples) {
        const std::string& pass = text_param(planned.params, "pass");
        const int lengths = list_size(planned.params, "seq");
        const int rows = lengths * (pass == "all" ? 3 : 1);
        const int with_selection = pass == "backward" ? 0 : pass == "all" ? 2 * lengths : rows;
        planned.expected.push_back({"ms_total", rows, samples});
        for (const std::string& part : parts_of(planned.params)) {
            const int part_rows = part == kSelect ? with_selection : rows;
            if (part_rows > 0) planned.expected.push_back({part, part_rows, samples});
        }
        for (const char* derived : {"ms_parts", "parts_gap_percent", "ms_floor", "percent_of_floor",
                                    "peak_memory_bytes", "invalid"})
            planned.expected.push_back({derived, rows, 1});
        planned.expected.push_back({"parts_error", lengths, 1});
    }
};

}  // namespace

const StepKind& prefill_bench_kind() {
    static const PrefillBench kKind;
    return kKind;
}

}  // namespace nsa::language
