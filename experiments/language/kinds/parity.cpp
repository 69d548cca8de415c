#include <algorithm>
#include <array>

#include "language/kinds/common_params.hpp"
#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams = table_of(
    std::array{ParamSchema{"branch", ParamType::kText, "", true,
                           "sliding|compressed|selected|module|decode|decode_step", "what is tested"},
               word("route", "auto", "auto|reference|sdpa|fa2_dense|fa2_varlen|sdpa_causal_one_query|cuda",
                    "implementation under test; auto: as the NSA_ flags say"),
               kDevice, kDtype, whole("batch", "2", "sequences"), whole("seq", "64", "tokens in a sequence")},
    head_params("4", "64"), block_params("32"), kCompressorParams,
    std::array{
        seed("seed of the first trial"), whole("trials", "1", "trials, each with the next seed", 1, 10000),
        word("gradients", "off", "off|on",
             "also the gradients of a branch in q, k and v, or of the module in its input and weights"),
        kPage, word("data", "normal", "normal|tiny|huge|equal_keys", "decode_step: what the tensors hold"),
        word("golden", "", "",
             "file on the host that holds inputs and expected outputs, .safetensors or .pt"),
        word("dump", "", "",
             "file of the step's folder that takes inputs and outputs, .safetensors or .pt")});

// What a golden file says itself.
constexpr std::array kFromTheFile{"dtype", "batch", "seq",  "heads",      "groups",    "dk",
                                  "dv",    "l",     "d",    "l_sel",      "n",         "w",
                                  "seed",  "page",  "data", "compressor", "phi_hidden"};

// How the metrics of gradients begin.
constexpr std::array<std::string_view, 5> kGradients{"gradients_", "dq_", "dk_", "dv_", "d_"};

bool ends_as_tensors(std::string_view name) {
    return name.ends_with(".safetensors") || name.ends_with(".pt");
}

// What a decode step over a paged cache must never do, each counted by nsa-core.
constexpr std::array kStepFaults{"selection_faults",  "reads_mismatches", "canary_hits",      "cache_faults",
                                 "compressed_faults", "idle_faults",      "rerun_differences"};

// A candidate against the fp64 oracle. That numbers are finite is no proof of parity, so the author must say
// how near is near enough.
class Parity final : public StepKind {
  public:
    std::string_view name() const override { return "parity"; }
    std::string_view help() const override { return "compares an attention route with the fp64 oracle"; }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step& step, PlannedCase& planned) const override {
        if (!has_bound(planned)) {
            return fail(ErrorCode::kInvalidSpec,
                        "a parity step needs a gate that bounds its error, like checks: [mae <= 2e-4]");
        }
        if (const Result<void> fits = check_shape(planned.params); !fits) return fits;
        if (text_param(planned.params, "branch") == "decode_step") {
            if (const Result<void> fits = check_page(planned.params); !fits) return fits;
        }
        for (const std::string& fault :
             {file_fault(step, planned), gradients_fault(planned), compressor_fault(planned)}) {
            if (!fault.empty()) return fail(ErrorCode::kInvalidSpec, fault);
        }
        if (planned.params.contains("golden")) leave_to_the_file(step, planned);
        run_nsa_core("parity", kParams, planned);
        if (planned.params.contains("dump")) planned.artifacts.push_back(text_param(planned.params, "dump"));
        planned.route_asked = text_param(planned.params, "route");
        const auto trials = static_cast<int>(int_param(planned.params, "trials"));
        for (const char* metric : {"mae", "max_abs", "rel_l2"})
            planned.expected.push_back({metric, 1, trials});
        add_default_check(planned, FiniteCheck{{"mae", "max_abs"}});
        if (has_gradients(planned.params)) {
            planned.expected.push_back({"gradients_bound_ratio", 1, trials});
            add_default_check(planned, FiniteCheck{{"gradients_bound_ratio"}});
        }
        if (text_param(planned.params, "branch") == "decode_step") expect_no_step_fault(planned, trials);
        return {};
    }

  private:
    static bool has_gradients(const Params& params) { return text_param(params, "gradients") == "on"; }

    // A bound on the outputs alone would pass wrong gradients.
    static bool bounds_a_gradient(const PlannedCase& planned) {
        return std::any_of(planned.checks.begin(), planned.checks.end(), [](const Check& check) {
            const auto* bound = std::get_if<ThresholdCheck>(&check.rule);
            if (bound == nullptr || check.level != Level::kGate) return false;
            return std::any_of(kGradients.begin(), kGradients.end(), [&](std::string_view gradient) {
                return bound->metric.starts_with(gradient);
            });
        });
    }

    static std::string compressor_fault(const PlannedCase& planned) {
        const std::string& branch = text_param(planned.params, "branch");
        if (text_param(planned.params, "compressor") == "mean" || branch == "module" || branch == "decode")
            return {};
        return "param 'compressor': mlp is part of a layer; it goes with module or decode, found '" + branch +
               "'";
    }

    static std::string gradients_fault(const PlannedCase& planned) {
        if (!has_gradients(planned.params)) return {};
        const std::string& branch = text_param(planned.params, "branch");
        if (branch.starts_with("decode"))
            return "param 'gradients': decoding has none; they go with a branch or with module, found '" +
                   branch + "'";
        return bounds_a_gradient(planned) ? ""
                                          : "param 'gradients': they need a gate too, like checks: "
                                            "[max(gradients_bound_ratio) <= 1]";
    }

    static std::string file_fault(const Step& step, const PlannedCase& planned) {
        for (const char* name : {"golden", "dump"}) {
            if (!planned.params.contains(name)) continue;
            const std::string param = "param '" + std::string(name) + "': ";
            const std::string& file = text_param(planned.params, name);
            if (!ends_as_tensors(file))
                return param + "expected a file that ends in .safetensors or .pt, found '" + file + "'";
            if (text_param(planned.params, "branch") == "decode_step")
                return param + "a decode step's paged cache has no golden file; the other branches have";
            if (int_param(planned.params, "trials") != 1)
                return param + "a golden file is one trial; leave 'trials' out";
        }
        if (planned.params.contains("dump") &&
            text_param(planned.params, "dump").find('/') != std::string::npos)
            return "param 'dump': expected a file name, for it lies in the step's folder; found '" +
                   text_param(planned.params, "dump") + "'";
        if (!planned.params.contains("golden")) return {};
        for (const char* name : kFromTheFile) {
            if (name != std::string_view("dtype") && step.params.contains(name))
                return "param '" + std::string(name) + "': the golden file says it itself; leave it out";
        }
        return {};
    }

    // Defaults would contradict the file.
    static void leave_to_the_file(const Step& step, PlannedCase& planned) {
        for (const char* name : kFromTheFile) {
            if (!step.params.contains(name)) planned.params.erase(name);
        }
    }

    static void expect_no_step_fault(PlannedCase& planned, int trials) {
        planned.expected.push_back({"bound_ratio", 1, trials});
        for (const char* fault : kStepFaults) {
            planned.expected.push_back({fault, 1, trials});
            add_default_check(
                planned,
                ThresholdCheck{
                    .metric = fault, .op = Op::kEqual, .value = 0, .unit = "", .aggregate = Aggregate::kMax});
        }
    }
};

}  // namespace

const StepKind& parity_kind() {
    static const Parity kKind;
    return kKind;
}

}  // namespace nsa::language
