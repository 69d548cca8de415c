#include "nsa_core/parity/guarded_kernels.hpp"

#include <ATen/ATen.h>

namespace nsa::core::parity {
namespace {

constexpr std::int64_t kGuard = 4096;  // bytes; a multiple of every alignment that kernels ask for
constexpr std::uint8_t kNan = 0xFF;    // a NaN in every floating type, and the canary
constexpr std::uint8_t kLarge = 0x7F;  // in integers: -1 would be an answer

}  // namespace

at::Tensor GuardedKernels::empty(at::IntArrayRef sizes, at::TensorOptions options) const {
    const at::ScalarType type = c10::typeMetaToScalarType(options.dtype());
    const std::int64_t bytes =
        c10::multiply_integers(sizes) * static_cast<std::int64_t>(c10::elementSize(type));
    at::Tensor filled = at::full({kGuard + bytes + kGuard}, kNan, at::kByte);
    if (!at::isFloatingType(type)) filled.narrow(0, kGuard, bytes).fill_(kLarge);
    memory_.push_back(filled.to(options.device()));
    return memory_.back().narrow(0, kGuard, bytes).view(type).view(sizes);
}

std::int64_t GuardedKernels::canary_hits() const {
    std::int64_t hits = 0;
    for (const at::Tensor& memory : memory_) {
        const at::Tensor bytes = memory.cpu();
        for (const std::int64_t guard : {std::int64_t{0}, bytes.numel() - kGuard})
            hits += bytes.narrow(0, guard, kGuard).ne(kNan).sum().item<std::int64_t>();
    }
    return hits;
}

}  // namespace nsa::core::parity
