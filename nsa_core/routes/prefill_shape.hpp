// Shapes in the kernels' terms. Pure; no Torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nsa_core/config.hpp"
#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/numeric.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {

/// Of sequences of up to `longest` tokens. What does not fit an int becomes the largest one, not another
/// size. `tokens` and `compressed` are those of equal lengths.
[[nodiscard]] cuda::PrefillShape prefill_shape(const NsaConfig& config, DType dtype, std::int64_t sequences,
                                               std::int64_t longest);

/// The configuration as the kernels run it: heads of other widths as the narrowest of theirs that hold them,
/// where there are any. Its scale() is no longer that of the scores.
[[nodiscard]] NsaConfig with_kernel_widths(NsaConfig config);

/// The configuration as the kernels of learnable compression run it: dk, dv and phi_hidden as the next
/// multiples of 8.
[[nodiscard]] NsaConfig with_whole_pieces(NsaConfig config);

/// unsupported_reason() of route cuda for a branch over whole sequences.
[[nodiscard]] std::optional<std::string> cuda_prefill_unsupported(const RouteRequest& request);

}  // namespace nsa::core
