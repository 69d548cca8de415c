#include <algorithm>
#include <array>

#include "language/kinds/common_params.hpp"
#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams = table_of(
    std::array{
        word("scope", "attention", "attention|module", "branches, top-n and gate, or the whole layer"),
        word("pass", "all", "all|forward|backward|step", "step: forward and backward in one measurement"),
        word("route", "auto", "auto|reference|sdpa|fa2_dense|fa2_varlen|cuda", "auto: as the NSA_ flags say"),
        whole_list("seq", "512,1024", "sequence lengths"), kDim},
    bench_params("3", "20"), kCompressorParams,
    std::array{word("queries", "independent", "independent|correlated",
                    "correlated: neighbours ask, and select, alike"),
               word("cache", "warm", "warm|cold", "state of the last cache"),
               word("peers", "on", "on|off", "attention: full attention beside ours")},
    kFloorParams);

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
        if (const Result<void> fits = check_shape(planned.params); !fits) return fits;
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
