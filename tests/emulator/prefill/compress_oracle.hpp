// Learnable compression by plain loops: the truth in double, and what a plain implementation makes of it that
// rounds the block with its position, the hidden numbers before and behind silu, and all results to 16 bits.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "emulator/prefill/oracle.hpp"

namespace nsa::prefill_test {

struct PhiNumbers {
    std::vector<double> position;  // [l, c]
    std::vector<double> w1;        // [hidden, l c]
    std::vector<double> b1;        // [hidden]
    std::vector<double> w2;        // [c, hidden]
    std::vector<double> b2;        // [c]
};

struct Compressed {
    Array out;  // [blocks, groups, c]
    Array d_rows;
    PhiNumbers d_phi;
};

/// Block i begins at row blocks[i] of `rows`.
Compressed compress(const Array& rows, const std::vector<std::size_t>& blocks, const PhiNumbers& phi,
                    const Array& d_out, const std::function<double(double)>& round);

}  // namespace nsa::prefill_test
