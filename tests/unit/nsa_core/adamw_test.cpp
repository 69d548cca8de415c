// The optimiser of the training smoke against the formula, number by number.
#include "nsa_core/train/adamw.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace nsa::core::train {
namespace {

constexpr double kRate = 0.01;

at::Tensor leaf_of(const std::vector<double>& values, at::IntArrayRef shape, at::ScalarType type) {
    return at::tensor(values, at::kDouble).view(shape).to(type).requires_grad_(true);
}

// AdamW with betas 0.9 and 0.95 on one number.
struct OneNumber {
    double value;
    double decay;
    double first = 0;
    double second = 0;

    void update(double gradient, int count) {
        value *= 1 - kRate * decay;
        first = 0.9 * first + 0.1 * gradient;
        second = 0.95 * second + 0.05 * gradient * gradient;
        const double unbiased = std::sqrt(second / (1 - std::pow(0.95, count))) + 1e-8;
        value -= kRate * first / (1 - std::pow(0.9, count)) / unbiased;
    }
};

double first_of(const at::Tensor& x) {
    return x.flatten()[0].item<double>();
}

TEST(AdamW, updates_by_the_formula_and_decays_matrices_only) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
        SCOPED_TRACE(c10::toString(type));
        const at::Tensor matrix = leaf_of({0.5, -2, 1, 3}, {2, 2}, type);
        const at::Tensor vector = leaf_of({1.5, -1}, {2}, type);
        const at::Tensor unused = leaf_of({7}, {1}, type);
        AdamW optimizer{{matrix, vector, unused}, kRate};
        OneNumber in_matrix{.value = 0.5, .decay = 0.01};
        OneNumber in_vector{.value = 1.5, .decay = 0};
        for (int count = 1; count <= 4; ++count) {
            const double gradient = count % 2 == 0 ? -0.25 : 0.5;
            matrix.mutable_grad() = at::full_like(matrix, gradient).detach();
            vector.mutable_grad() = at::full_like(vector, gradient).detach();
            EXPECT_NEAR(optimizer.grad_norm(1), std::sqrt(6) * std::abs(gradient), 1e-6);
            optimizer.update(1);
            optimizer.forget_gradients();
            in_matrix.update(gradient, count);
            in_vector.update(gradient, count);
        }
        // The leaf of a half type is its fp32 master, rounded once.
        const double rounding = type == at::kBFloat16 ? 0x1p-8 : type == at::kHalf ? 0x1p-11 : 1e-6;
        EXPECT_NEAR(first_of(matrix), in_matrix.value, rounding);
        EXPECT_NEAR(first_of(vector), in_vector.value, rounding);
        EXPECT_EQ(first_of(unused), 7);
    }
}

TEST(AdamW, a_loss_scale_is_divided_out) {
    const at::Tensor scaled = leaf_of({0.5, 1}, {2}, at::kHalf);
    const at::Tensor plain = leaf_of({0.5, 1}, {2}, at::kHalf);
    AdamW first{{scaled}, kRate};
    AdamW second{{plain}, kRate};
    scaled.mutable_grad() = at::full_like(scaled, 1024.0).detach();
    plain.mutable_grad() = at::full_like(plain, 0.25).detach();
    EXPECT_EQ(first.grad_norm(4096), second.grad_norm(1));
    first.update(4096);
    second.update(1);
    EXPECT_TRUE(at::equal(scaled, plain));
    EXPECT_LT(first_of(plain), 0.5);
}

}  // namespace
}  // namespace nsa::core::train
