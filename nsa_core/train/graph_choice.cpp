#include "nsa_core/train/graph_choice.hpp"

namespace nsa::core::train {

std::optional<std::string> why_eager(const GraphRequest& r) {
    if (r.flag == GraphFlag::kOff) return "--graph is off";
    if (r.device != tools::DeviceKind::kCuda) return "a CUDA graph needs a CUDA device";
    if (!r.kernels) return "this nsa-core was built without nvcc (cmake says why)";
    if (r.dtype == DType::kFp16)
        return "in fp16 the host decides after each step whether the gradients overflowed";
    if (r.sdpa_audit) return "NSA_SDPA_AUDIT=1 reads results of each call on the host";
    if (r.flag == GraphFlag::kOn) return std::nullopt;
    for (const auto& [branch, choice] : r.routes) {
        if (choice.taken != Route::kCuda) {
            return "the " + std::string{name(branch)} + " branch takes route " +
                   std::string{name(choice.taken)} + "; --graph on captures it all the same";
        }
    }
    return std::nullopt;
}

}  // namespace nsa::core::train
