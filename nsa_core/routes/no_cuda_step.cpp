// In place of cuda_step.cpp in a build without nvcc: the kernel says that it is not there.
#include <stdexcept>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes/cuda_step.hpp"

namespace nsa::core {

struct CudaStep::Impl {};

std::optional<std::string> CudaStep::unsupported_reason(const NSAAttention&, std::int64_t) {
    return "this program was built without nvcc, so it holds no kernels of its own";
}

CudaStep::CudaStep(const NSAAttention& module, DecodeCache&, std::int64_t capacity, CudaStepOptions) {
    throw InputError("one-kernel step: " + unsupported_reason(module, capacity).value());
}

CudaStep::~CudaStep() = default;
CudaStep::CudaStep(CudaStep&&) noexcept = default;
CudaStep& CudaStep::operator=(CudaStep&&) noexcept = default;

// No object exists whose members could be called.
at::Tensor CudaStep::step(const at::Tensor&) {
    throw std::logic_error{"a step of a kernel in a program without it"};
}
at::Tensor CudaStep::input() const {
    return {};
}
at::Tensor CudaStep::reads() const {
    return {};
}
at::Tensor CudaStep::blocks() const {
    return {};
}
at::Tensor CudaStep::clocks() const {
    return {};
}
std::string CudaStep::team_text() const {
    return {};
}

}  // namespace nsa::core
