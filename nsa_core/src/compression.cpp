#include <ATen/ATen.h>

#include "nsa_core/attention.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/masked.hpp"

namespace nsa::core {

at::Tensor compress_mean(const at::Tensor& rows, const NsaConfig& c) {
    const std::int64_t count = compressed_count(rows.size(2), c);
    if (count == 0) return rows.narrow(2, 0, 0);
    // Blocks overlap by l - d: sum pieces of d rows once, then add the l/d pieces of each block. Sums are
    // kept in fp32 for half types and rounded once.
    const std::int64_t pieces_per_block = c.l / c.d;
    const std::int64_t pieces = count + pieces_per_block - 1;
    const at::Tensor sums = rows.narrow(2, 0, pieces * c.d)
                                .to(accumulation_type(rows))
                                .reshape({rows.size(0), rows.size(1), pieces, c.d, rows.size(3)})
                                .sum(3);
    at::Tensor total = sums.narrow(2, 0, count);
    for (std::int64_t piece = 1; piece < pieces_per_block; ++piece)
        total = total + sums.narrow(2, piece, count);
    return total.div(static_cast<double>(c.l)).to(rows.scalar_type());
}

at::Tensor compress_mlp(const at::Tensor& rows, const PhiWeights& phi, const NsaConfig& c) {
    const std::int64_t count = compressed_count(rows.size(2), c);
    if (count == 0) return rows.narrow(2, 0, 0);
    const at::Tensor blocks = rows.unfold(2, c.l, c.d).transpose(-1, -2) + phi.position;  // [B,G,count,l,c]
    const at::Tensor hidden = at::silu(at::linear(blocks.flatten(-2, -1), phi.w1, phi.b1));
    return at::linear(hidden, phi.w2, phi.b2);
}

}  // namespace nsa::core
