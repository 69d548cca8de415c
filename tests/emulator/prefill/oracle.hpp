// Attention over visible keys by plain loops, forward and gradients: the truth in double, and what a plain
// implementation makes of it that keeps probabilities, scores' gradients and results in 16 bits.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace nsa::prefill_test {

/// Rows of all sequences, one behind the other: [rows, heads, width].
struct Array {
    std::size_t rows = 0;
    std::size_t heads = 0;
    std::size_t width = 0;
    std::vector<double> values;

    Array() = default;
    Array(std::size_t r, std::size_t h, std::size_t w)
        : rows{r}, heads{h}, width{w}, values(r * h * w, 0.0) {}
    double* at(std::size_t row, std::size_t head) { return values.data() + (row * heads + head) * width; }
    const double* at(std::size_t row, std::size_t head) const {
        return values.data() + (row * heads + head) * width;
    }
};

struct Inputs {
    Array q, k, v, d_out;       // q and d_out of H heads, k and v of G
    std::vector<double> gates;  // [tokens, H]; empty: 1
    double scale = 1;
};

struct Results {
    Array out, d_q, d_k, d_v;
    std::vector<double> lse;    // [tokens, H]
    std::vector<double> delta;  // [tokens, H]
};

/// visible(i, j): whether token row i sees key row j, rows counted over all sequences. `round`: to the 16-bit
/// type where the plain implementation does; the identity gives the truth.
Results attend(const Inputs& inputs, const std::function<bool(std::size_t, std::size_t)>& visible,
               const std::function<double(double)>& round);

}  // namespace nsa::prefill_test
