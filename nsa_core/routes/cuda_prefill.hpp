// Route `cuda` over whole sequences: the kernels of nsa_core/cuda/prefill on tensors, forward and backward,
// without autograd (cuda_prefill_autograd.hpp).
//
// Layouts as in attention.hpp: [B,H,S,c] with any strides that are multiples of 8 and a contiguous last
// dimension of 16-byte alignment; other tensors are copied first. Results are token-major, [B,S,H,c] in
// memory. Packed sequences are a batch of 1 whose token axis holds them all, [1,H,T,c]. Everything runs on
// the current stream with scratch from Torch's allocator and without waiting, so it may be captured in a
// graph.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>

#include "nsa_core/config.hpp"
#include "nsa_core/keys_values.hpp"
#include "nsa_core/routes/prefill_kernels.hpp"

namespace nsa::core {

/// Sequences of many lengths one behind the other; sequence i is tokens [cu_tokens[i], cu_tokens[i+1]), and
/// has the compressed tokens [cu_compressed[i], cu_compressed[i+1]). int32 on the device.
struct Packing {
    at::Tensor cu_tokens;         // [sequences + 1], from 0 to T
    at::Tensor cu_compressed;     // [sequences + 1]
    std::int64_t longest = 0;     // tokens
    std::int64_t compressed = 0;  // room for compressed tokens: as many as T tokens can have, at least

    /// Computed on the device of cu_tokens. `tokens`: T.
    [[nodiscard]] static Packing of(const at::Tensor& cu_tokens, std::int64_t longest, std::int64_t tokens,
                                    const NsaConfig& config);
};

/// Output of a branch, and the natural logarithm of each row's normaliser: fp32 [tokens, H].
struct Attended {
    at::Tensor out;
    at::Tensor lse;
};

/// The blocks that each token selects, for all heads of a group: int32 [tokens, G, n] ascending, -1 behind
/// the last, and their number [tokens, G].
struct SelectedLists {
    at::Tensor blocks;
    at::Tensor count;
};

struct BranchGradients {
    at::Tensor q;
    KeysValues rows;
};

/// What the backward of a branch reads of the row besides its tensors. Without gates the branch stands alone.
struct RowFactors {
    at::Tensor delta;       // fp32 [tokens, H]: gate <dO, O>
    at::Tensor gates = {};  // [tokens, H, 3]
    int branch = 0;         // column of gates
};

/// What the fused function takes, or the gradient in each.
struct GatedRows {
    at::Tensor q;
    KeysValues cmp;  // compressed tokens
    KeysValues sel;
    KeysValues win;
    at::Tensor gates;  // [tokens, H, 3] contiguous
};

/// What its backward reads besides; `out`, the gated sum, it does not.
struct GatedForward {
    at::Tensor out;
    Attended cmp;
    Attended sel;
    Attended win;
    SelectedLists lists;
};

enum BranchColumn { kCmpColumn, kSelColumn, kWinColumn };  // of gates, as everywhere

class CudaPrefill {
  public:
    /// `like` [B,any,S,any] says batch, length, type and device; the configuration says all else. The scale
    /// is of the scores. Throws InputError when the kernels do not take the shape.
    CudaPrefill(const NsaConfig& config, double scale, const at::Tensor& like, std::optional<Packing> packing,
                const PrefillKernels& kernels);

    [[nodiscard]] KeysValues compress(const KeysValues& rows) const;
    [[nodiscard]] KeysValues compress_backward(const KeysValues& d_compressed) const;

    [[nodiscard]] Attended sliding(const at::Tensor& q, const KeysValues& rows) const;
    /// `d_q`: a gradient of q, of another backward here, that this one is added to in place; else a new one.
    [[nodiscard]] BranchGradients sliding_backward(const at::Tensor& q, const KeysValues& rows,
                                                   const at::Tensor& lse, const at::Tensor& d_out,
                                                   const RowFactors& row, const at::Tensor& d_q = {}) const;

    [[nodiscard]] Attended compressed(const at::Tensor& q, const KeysValues& rows) const;
    [[nodiscard]] BranchGradients compressed_backward(const at::Tensor& q, const KeysValues& rows,
                                                      const at::Tensor& lse, const at::Tensor& d_out,
                                                      const RowFactors& row,
                                                      const at::Tensor& d_q = {}) const;

    /// From the scores that compressed(q, ..) normalised by `lse`.
    [[nodiscard]] SelectedLists select(const at::Tensor& q, const at::Tensor& k_cmp,
                                       const at::Tensor& lse) const;
    [[nodiscard]] Attended selected(const at::Tensor& q, const KeysValues& rows,
                                    const SelectedLists& lists) const;
    [[nodiscard]] BranchGradients selected_backward(const at::Tensor& q, const KeysValues& rows,
                                                    const SelectedLists& lists, const at::Tensor& lse,
                                                    const at::Tensor& d_out, const RowFactors& row) const;

    /// gates [tokens, H, 3] contiguous, branches in the order cmp, sel, win.
    [[nodiscard]] at::Tensor combine(const std::array<at::Tensor, 3>& branches,
                                     const at::Tensor& gates) const;
    struct CombineGradients {
        at::Tensor gates;                 // [tokens, H, 3]
        std::array<at::Tensor, 3> delta;  // RowFactors::delta of the branches
    };
    [[nodiscard]] CombineGradients combine_backward(const std::array<at::Tensor, 3>& branches,
                                                    const at::Tensor& gates, const at::Tensor& d_out) const;

    /// The three branches and their gated sum, over `given` or, where that is undefined, the blocks chosen by
    /// the compressed branch's scores.
    [[nodiscard]] GatedForward gated_forward(const GatedRows& in, const SelectedLists& given = {}) const;
    [[nodiscard]] GatedRows gated_backward(const GatedRows& in, const GatedForward& forward,
                                           const at::Tensor& d_out) const;

    /// <dO, O> of a branch that stands alone.
    [[nodiscard]] at::Tensor delta(const at::Tensor& out, const at::Tensor& d_out) const;

    /// [B,G,S,picks] int64 as attention.hpp has it, from and to lists.
    [[nodiscard]] at::Tensor to_blocks(const SelectedLists& lists) const;
    [[nodiscard]] SelectedLists to_lists(const at::Tensor& blocks) const;

  private:
    [[nodiscard]] Attended dense(cuda::DenseBranch branch, const at::Tensor& q, const KeysValues& rows) const;
    [[nodiscard]] BranchGradients dense_backward(cuda::DenseBranch branch, const at::Tensor& q,
                                                 const KeysValues& rows, const at::Tensor& lse,
                                                 const at::Tensor& d_out, const RowFactors& row,
                                                 const at::Tensor& d_q) const;
    [[nodiscard]] at::Tensor empty_rows(std::int64_t heads, std::int64_t length, std::int64_t width) const;
    [[nodiscard]] at::Tensor empty_numbers() const;  // fp32 [tokens, H]

    cuda::PrefillShape shape_;
    cuda::Sequences sequences_;
    std::optional<Packing> packing_;
    at::TensorOptions options_;
    const PrefillKernels& kernels_;
    std::int64_t batch_;       // of the tensors: 1 when packed
    std::int64_t length_;      // of their token axis
    std::int64_t compressed_;  // of the compressed ones
    float scale_;
};

}  // namespace nsa::core
