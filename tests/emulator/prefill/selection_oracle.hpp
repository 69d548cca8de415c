// Importance of selection blocks, their choice, and attention over them by plain loops in double.
#pragma once

#include <functional>
#include <vector>

#include "emulator/prefill/oracle.hpp"
#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::prefill_test {

using core::cuda::PrefillShape;

/// Sequences of these lengths, one behind the other.
struct Batch {
    std::vector<int> lengths;
    bool packed = false;  // by cu_seqlens; else all lengths are equal

    [[nodiscard]] int longest() const;
    [[nodiscard]] std::size_t tokens() const;
    [[nodiscard]] std::size_t compressed(const PrefillShape& shape) const;
    /// Calls what(sequence, token in it, row of the token over all sequences).
    void for_tokens(const std::function<void(std::size_t, int, std::size_t)>& what) const;
    /// First rows of the sequences, and the number of all behind them.
    [[nodiscard]] std::vector<int> first_tokens() const;
    [[nodiscard]] std::vector<int> first_compressed(const PrefillShape& shape) const;
};

/// Log-sum-exp of each token and head over the compressed keys that it sees, [tokens, H].
std::vector<double> compressed_lse(const PrefillShape& shape, const Batch& batch, const Array& q,
                                   const Array& k, double scale);

/// [tokens, G], a value for each visible block: Eqs. 9 and 10.
using Importance = std::vector<std::vector<double>>;
Importance block_importance(const PrefillShape& shape, const Batch& batch, const Array& q, const Array& k,
                            double scale);

/// Selected blocks of each token and group, ascending: [tokens, G].
using Lists = std::vector<std::vector<int>>;
Lists choose(const PrefillShape& shape, const Batch& batch, const Importance& importance);

/// Attention of each token over the tokens of its blocks up to itself, and its gradients.
Results attend_selected(const PrefillShape& shape, const Batch& batch, const Inputs& in, const Lists& lists,
                        const std::function<double(double)>& round);

}  // namespace nsa::prefill_test
