// The parts of the oracle's layer around its branches: projections, rotary positions, learnable phi, gate
// (Eq. 5). Arrays of tokens are [1,B,S,width], of heads [B,heads,S,width].
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/module.hpp"
#include "nsa_core/reference/array.hpp"

namespace nsa::core::reference {

/// The layer's parameters by name; a matrix is [1,1,out,in], a bias [1,1,1,out].
class Weights {
  public:
    explicit Weights(const std::vector<NamedTensor>& parameters) : parameters_(parameters) {}

    /// Throws InputError when there is none of that name.
    [[nodiscard]] Array get(const std::string& name) const;

  private:
    const std::vector<NamedTensor>& parameters_;
};

[[nodiscard]] double sigmoid(double x);

/// x W^T + bias on the last dimension; bias may be null.
[[nodiscard]] Array linear(const Array& x, const Array& weight, const Array* bias);

/// linear, x sigmoid(x), linear, by the parameters PREFIXw1, b1, w2 and b2. `before` is what the sigmoid
/// takes.
struct Mlp {
    Array before;
    Array hidden;
    Array out;
};
[[nodiscard]] Mlp mlp(const Array& x, const Weights& weights, const std::string& prefix);

[[nodiscard]] Array split_heads(const Array& tokens, std::int64_t heads);
[[nodiscard]] Array merge_heads(const Array& rows);

/// Component pair (c, c + dk/2) at position t turns by t base^(-2c/dk); `turn` -1 turns it back.
[[nodiscard]] Array rotate(Array rows, const NsaConfig& config, double turn = 1);

/// What learnable phi takes: each block of l rows [B,G,S,c] with its positions [1,1,l,c] added, as one row:
/// [B,G,blocks,l*c].
[[nodiscard]] Array phi_blocks(const Array& rows, const Array& position, const NsaConfig& config);

/// The compressed tokens of rows [B,G,S,c], by the mean or by learnable phi of that name: [B,G,Nc,c].
[[nodiscard]] at::Tensor compress(const Array& rows, const Weights& weights, const std::string& phi,
                                  const NsaConfig& config);

/// [B,S,H,3] in the order of Branch, from logits [1,B,S,3H]. `only`: that branch alone, whatever the logits.
[[nodiscard]] Array gates_of(const Array& logits, const NsaConfig& config, std::optional<Branch> only);

/// Eq. 5: the branches' outputs, each times its gate, summed: [1,B,S,H*dv].
[[nodiscard]] Array gated_sum(const Array& gates, const std::array<Array, 3>& branches);

}  // namespace nsa::core::reference
