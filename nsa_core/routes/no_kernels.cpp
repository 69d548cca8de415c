// In place of captured.cpp and cuda_decode.cpp in a build without nvcc: route cuda says that it is not there.
#include "nsa_core/errors.hpp"
#include "nsa_core/routes/captured.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core {

struct CudaDecode::Impl {};

bool kernels_built() {
    return false;
}

CudaDecode::CudaDecode(const PagedCache& cache) {
    throw InputError(unsupported_reason(Route::kCuda, request_for(cache)).value());
}

CudaDecode::~CudaDecode() = default;
CudaDecode::CudaDecode(CudaDecode&&) noexcept = default;
CudaDecode& CudaDecode::operator=(CudaDecode&&) noexcept = default;

// No object exists whose members could be called.
void CudaDecode::step(const PagedStepInputs&, const PagedCache&, const PagedStepOutputs&, cuda::DecodePart) {
    throw std::logic_error{"a decode step of route cuda in a program without its kernels"};
}
at::Tensor CudaDecode::workspace() const {
    return {};
}
std::string CudaDecode::plan_text() const {
    return {};
}

struct Captured::Impl {};

Captured::Captured(const std::function<void()>&, int) {
    throw InputError("a CUDA graph needs an nsa-core that was built with nvcc");
}
Captured::~Captured() = default;
Captured::Captured(Captured&&) noexcept = default;
Captured& Captured::operator=(Captured&&) noexcept = default;
void Captured::replay() {}
std::size_t Captured::nodes() const {
    return 0;
}

}  // namespace nsa::core
