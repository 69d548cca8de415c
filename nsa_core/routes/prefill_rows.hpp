// Tensors of rows [B,heads,tokens,c] in the kernels' terms.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/cuda/prefill/params.hpp"
#include "nsa_core/keys_values.hpp"
#include "nsa_core/routes/cuda_prefill.hpp"

namespace nsa::core {

/// Whether kernels can read rows where they lie: whole rows, aligned to 16 bytes.
[[nodiscard]] bool readable_rows(const at::Tensor& rows);

/// The tensor itself where they can, else a token-major copy.
[[nodiscard]] at::Tensor readable(const at::Tensor& rows);
[[nodiscard]] KeysValues readable(const KeysValues& rows);

/// Addresses and strides; the tensor must outlive the launch.
[[nodiscard]] cuda::ConstRows rows_of(const at::Tensor& rows);
[[nodiscard]] cuda::Rows result_rows(const at::Tensor& rows);

/// Fills what the backwards of all branches have in common.
template <class Params>
void set_row(Params& p, const at::Tensor& lse, const RowFactors& row) {
    p.lse = lse.const_data_ptr<float>();
    p.delta = row.delta.const_data_ptr<float>();
    if (!row.gates.defined()) return;
    p.gates = static_cast<const char*>(row.gates.const_data_ptr()) + row.branch * row.gates.element_size();
    p.gate_stride = 3;
}

}  // namespace nsa::core
