#include "emulator/prefill/compress_oracle.hpp"

#include <cmath>

namespace nsa::prefill_test {
namespace {

using Numbers = std::vector<double>;

class Loops {
  public:
    Loops(const PhiNumbers& phi, const std::function<double(double)>& round) : phi_{phi}, round_{round} {}

    // One block, forward; what the backward wants stays here.
    void forward(const double* const* tokens, std::size_t width, double* out) {
        block_.assign(phi_.position.size(), 0.0);
        for (std::size_t k = 0; k < block_.size(); ++k)
            block_[k] = round_(tokens[k / width][k % width] + phi_.position[k]);
        pre_.assign(phi_.b1.size(), 0.0);
        act_ = pre_;
        for (std::size_t h = 0; h < pre_.size(); ++h) {
            double sum = phi_.b1[h];
            for (std::size_t k = 0; k < block_.size(); ++k)
                sum += phi_.w1[h * block_.size() + k] * block_[k];
            pre_[h] = round_(sum);
            act_[h] = round_(pre_[h] / (1 + std::exp(-pre_[h])));
        }
        for (std::size_t i = 0; i < width; ++i) {
            out[i] = phi_.b2[i];
            for (std::size_t h = 0; h < act_.size(); ++h)
                out[i] += phi_.w2[i * act_.size() + h] * act_[h];
        }
    }

    // Adds the block's gradients.
    void backward(const double* d_out, std::size_t width, double* const* d_tokens, PhiNumbers& d) {
        for (std::size_t h = 0; h < act_.size(); ++h) {
            double d_act = 0;
            for (std::size_t i = 0; i < width; ++i) {
                d_act += d_out[i] * phi_.w2[i * act_.size() + h];
                d.w2[i * act_.size() + h] += d_out[i] * act_[h];
            }
            const double s = 1 / (1 + std::exp(-pre_[h]));
            const double d_pre = round_(round_(d_act) * s * (1 + pre_[h] * (1 - s)));
            d.b1[h] += d_pre;
            for (std::size_t k = 0; k < block_.size(); ++k) {
                d.w1[h * block_.size() + k] += d_pre * block_[k];
                d.position[k] += d_pre * phi_.w1[h * block_.size() + k];
                d_tokens[k / width][k % width] += d_pre * phi_.w1[h * block_.size() + k];
            }
        }
        for (std::size_t i = 0; i < width; ++i)
            d.b2[i] += d_out[i];
    }

  private:
    const PhiNumbers& phi_;
    const std::function<double(double)>& round_;
    Numbers block_, pre_, act_;
};

}  // namespace

Compressed compress(const Array& rows, const std::vector<std::size_t>& blocks, const PhiNumbers& phi,
                    const Array& d_out, const std::function<double(double)>& round) {
    const std::size_t l = phi.position.size() / rows.width;
    Compressed r{.out = Array{blocks.size(), rows.heads, rows.width},
                 .d_rows = Array{rows.rows, rows.heads, rows.width},
                 .d_phi = {.position = Numbers(phi.position.size()),
                           .w1 = Numbers(phi.w1.size()),
                           .b1 = Numbers(phi.b1.size()),
                           .w2 = Numbers(phi.w2.size()),
                           .b2 = Numbers(phi.b2.size())}};
    Loops loops{phi, round};
    for (std::size_t i = 0; i < blocks.size(); ++i)
        for (std::size_t group = 0; group < rows.heads; ++group) {
            std::vector<const double*> tokens;
            std::vector<double*> d_tokens;
            for (std::size_t j = 0; j < l; ++j) {
                tokens.push_back(rows.at(blocks[i] + j, group));
                d_tokens.push_back(r.d_rows.at(blocks[i] + j, group));
            }
            loops.forward(tokens.data(), rows.width, r.out.at(i, group));
            loops.backward(d_out.at(i, group), rows.width, d_tokens.data(), r.d_phi);
        }
    for (Numbers* all : {&r.out.values, &r.d_rows.values, &r.d_phi.position, &r.d_phi.w1, &r.d_phi.b1,
                         &r.d_phi.w2, &r.d_phi.b2})
        for (double& x : *all)
            x = round(x);
    return r;
}

}  // namespace nsa::prefill_test
