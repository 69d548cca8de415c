#include <array>

#include "language/kinds/kinds.hpp"
#include "language/params.hpp"

namespace nsa::language {

namespace {

constexpr std::array kParams{
    ParamSchema{"torch_min", ParamType::kText, "", false, "", "lowest LibTorch version, like '2.6'"},
    ParamSchema{"cuda_min", ParamType::kText, "", false, "", "lowest CUDA version, like '12.1'"},
    ParamSchema{"driver_min", ParamType::kText, "", false, "", "lowest NVIDIA driver version"},
    ParamSchema{"gpu", ParamType::kText, "optional", false, "optional|required",
                "whether a GPU must be there"},
    ParamSchema{"gpu_sm_min", ParamType::kInt, "", false, "", "lowest compute capability, like 80 for sm_80"},
    ParamSchema{"gpu_memory_gib_min", ParamType::kInt, "", false, "", "least memory of each GPU in GiB"},
};

// The host as `nsa-core probe` finds it against what the experiment requires.
class EnvCheck final : public StepKind {
  public:
    std::string_view name() const override { return "env_check"; }
    std::string_view help() const override {
        return "requires versions and a GPU of the host, as probed there";
    }
    std::span<const ParamSchema> params() const override { return kParams; }

    Result<void> fill(const Step&, PlannedCase& planned) const override {
        run_nsa_core("probe", {}, planned);
        // The probe ran: at least this is always known.
        const std::string torch = text_or_empty(planned.params, "torch_min");
        add_default_check(planned, RequirementCheck{"torch_version", torch});
        require(planned, "cuda_version", text_or_empty(planned.params, "cuda_min"));
        require(planned, "driver", text_or_empty(planned.params, "driver_min"));
        if (text_param(planned.params, "gpu") == "required")
            add_default_check(planned, RequirementCheck{"gpu_name", ""});
        if (planned.params.contains("gpu_sm_min")) {
            require(planned, "gpu_sm", std::to_string(int_param(planned.params, "gpu_sm_min")));
        }
        if (planned.params.contains("gpu_memory_gib_min")) {
            constexpr std::int64_t kGiB = std::int64_t{1} << 30;
            constexpr std::int64_t kMostGiB = 1 << 20;
            const std::int64_t gib = int_param(planned.params, "gpu_memory_gib_min");
            if (gib > kMostGiB)
                return fail(ErrorCode::kInvalidSpec, "param 'gpu_memory_gib_min': more than any GPU has");
            require(planned, "gpu_memory_bytes", std::to_string(gib * kGiB));
        }
        return check_versions(planned);
    }

  private:
    static std::string text_or_empty(const Params& params, const std::string& name) {
        return params.contains(name) ? text_param(params, name) : std::string();
    }
    static void require(PlannedCase& planned, const char* fact, const std::string& at_least) {
        if (!at_least.empty()) add_default_check(planned, RequirementCheck{fact, at_least});
    }
    static Result<void> check_versions(const PlannedCase& planned) {
        for (const char* name : {"torch_min", "cuda_min", "driver_min"}) {
            const std::string version = text_or_empty(planned.params, name);
            if (!version.empty() && !is_dotted_version(version)) {
                return fail(ErrorCode::kInvalidSpec, "param '" + std::string(name) +
                                                         "': expected a version like '12.1', found '" +
                                                         version + "'");
            }
        }
        return {};
    }
};

}  // namespace

const StepKind& env_check_kind() {
    static const EnvCheck kKind;
    return kKind;
}

}  // namespace nsa::language
