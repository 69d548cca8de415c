// Pooling and the gated sum on the emulator, against plain loops.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "emulator/prefill/rows_buffer.hpp"
#include "emulator/runtime.hpp"
#include "nsa_core/cuda/prefill/prefill.hpp"

namespace nsa::prefill_test {
namespace {

using namespace core::cuda;
using emulator::Buffer;

template <class T>
double rounded(double x) {
    return Half<T>::to_float(Half<T>::from_float(static_cast<float>(x)));
}
template <class T>
Array draw(std::size_t rows, std::size_t heads, std::size_t width, unsigned seed) {
    std::mt19937 source{seed};
    std::normal_distribution<double> normal;
    Array a{rows, heads, width};
    for (double& x : a.values)
        x = rounded<T>(normal(source));
    return a;
}

// One rounding to T of a sum made in fp32, of terms up to about 4.
template <class T>
void expect_rounded(const Array& ours, const Array& truth, const std::string& what) {
    constexpr double kHalfUnit = std::is_same_v<T, __half> ? 0x1p-11 : 0x1p-8;
    for (std::size_t i = 0; i < truth.values.size(); ++i)
        ASSERT_NEAR(ours.values[i], truth.values[i], 2e-6 + kHalfUnit * std::abs(truth.values[i]))
            << what << ", element " << i;
}

template <class T>
class PrefillRows : public testing::Test {};
using HalfTypes = testing::Types<__nv_bfloat16, __half>;
TYPED_TEST_SUITE(PrefillRows, HalfTypes);

template <class T>
constexpr HalfType kTypeOf = std::is_same_v<T, __half> ? HalfType::kFp16 : HalfType::kBf16;

struct PoolCase {
    std::vector<int> lengths;
    bool packed;
    int l;
    int d;
    int dk;
    int dv;
};

// Rows of the sequences, in compact order; the compressed row's first token.
struct PoolLayout {
    std::vector<int> tokens{0};
    std::vector<int> keys{0};
    std::vector<std::size_t> first_token;

    explicit PoolLayout(const PoolCase& c) {
        for (const int length : c.lengths) {
            int count = 0;
            for (; count * c.d + c.l <= length; ++count)
                first_token.push_back(static_cast<std::size_t>(tokens.back() + count * c.d));
            tokens.push_back(tokens.back() + length);
            keys.push_back(keys.back() + count);
        }
    }
};

constexpr std::size_t kGroups = 2;

template <class T>
class PoolRun {
  public:
    explicit PoolRun(const PoolCase& c)
        : c_{c},
          layout_{c},
          token_order_{gap(), static_cast<std::size_t>(c.lengths.front()), false},
          key_order_{gap(), static_cast<std::size_t>(layout_.keys[1]), false},
          cu_tokens_{shifted(layout_.tokens)},
          cu_keys_{shifted(layout_.keys)} {}

    void forward() {
        const Array k = draw<T>(tokens(), kGroups, width(c_.dk), 1);
        const Array v = draw<T>(tokens(), kGroups, width(c_.dv), 2);
        RowsBuffer<T> k_rows{k, token_order_};
        RowsBuffer<T> v_rows{v, token_order_};
        RowsBuffer<T> k_out{keys(), kGroups, width(c_.dk), key_order_};
        RowsBuffer<T> v_out{keys(), kGroups, width(c_.dv), key_order_};
        ASSERT_EQ(launch_mean_pool({.shape = shape(),
                                    .sequences = sequences(),
                                    .k = k_rows.rows(),
                                    .v = v_rows.rows(),
                                    .k_out = k_out.rows(),
                                    .v_out = v_out.rows()},
                                   nullptr),
                  cudaSuccess);
        emulator::finish();
        expect_rounded<T>(k_out.values(), pooled(k), "keys");
        expect_rounded<T>(v_out.values(), pooled(v), "values");
        EXPECT_TRUE(k_out.intact() && v_out.intact());
    }

    void backward() {
        const Array d_k_out = draw<T>(keys(), kGroups, width(c_.dk), 3);
        const Array d_v_out = draw<T>(keys(), kGroups, width(c_.dv), 4);
        RowsBuffer<T> d_k_out_rows{d_k_out, key_order_};
        RowsBuffer<T> d_v_out_rows{d_v_out, key_order_};
        RowsBuffer<T> d_k{tokens(), kGroups, width(c_.dk), token_order_};
        RowsBuffer<T> d_v{tokens(), kGroups, width(c_.dv), token_order_};
        ASSERT_EQ(launch_mean_pool_backward({.shape = shape(),
                                             .sequences = sequences(),
                                             .d_k_out = d_k_out_rows.rows(),
                                             .d_v_out = d_v_out_rows.rows(),
                                             .d_k = d_k.rows(),
                                             .d_v = d_v.rows()},
                                            nullptr),
                  cudaSuccess);
        emulator::finish();
        expect_rounded<T>(d_k.values(), spread(d_k_out), "gradient of keys");
        expect_rounded<T>(d_v.values(), spread(d_v_out), "gradient of values");
        EXPECT_TRUE(d_k.intact() && d_v.intact());
    }

  private:
    [[nodiscard]] std::size_t gap() const { return c_.packed ? 2 : 0; }
    [[nodiscard]] std::size_t tokens() const { return static_cast<std::size_t>(layout_.tokens.back()); }
    [[nodiscard]] std::size_t keys() const { return static_cast<std::size_t>(layout_.keys.back()); }
    static std::size_t width(int w) { return static_cast<std::size_t>(w); }
    [[nodiscard]] std::vector<int> shifted(std::vector<int> first) const {
        for (int& x : first)
            x += static_cast<int>(gap());
        return first;
    }
    [[nodiscard]] PrefillShape shape() const {
        PrefillShape s;
        s.dtype = kTypeOf<T>;
        s.batch = static_cast<int>(c_.lengths.size());
        s.heads = s.groups = static_cast<int>(kGroups);
        s.dk = c_.dk;
        s.dv = c_.dv;
        s.l = c_.l;
        s.d = c_.d;
        s.max_tokens = *std::max_element(c_.lengths.begin(), c_.lengths.end());
        return s;
    }
    [[nodiscard]] Sequences sequences() {
        return {.max_tokens = shape().max_tokens,
                .max_compressed = shape().compressed_of(shape().max_tokens),
                .cu_tokens = c_.packed ? cu_tokens_.data() : nullptr,
                .cu_compressed = c_.packed ? cu_keys_.data() : nullptr};
    }
    [[nodiscard]] Array pooled(const Array& a) const {
        Array out{keys(), a.heads, a.width};
        for_each_pair(a, [&](std::size_t key, std::size_t token, std::size_t head, std::size_t i) {
            out.at(key, head)[i] += a.at(token, head)[i] / c_.l;
        });
        return out;
    }
    [[nodiscard]] Array spread(const Array& a) const {
        Array out{tokens(), a.heads, a.width};
        for_each_pair(a, [&](std::size_t key, std::size_t token, std::size_t head, std::size_t i) {
            out.at(token, head)[i] += a.at(key, head)[i] / c_.l;
        });
        return out;
    }
    template <class Do>
    void for_each_pair(const Array& a, Do action) const {
        for (std::size_t key = 0; key < keys(); ++key)
            for (std::size_t j = 0; j < width(c_.l); ++j)
                for (std::size_t head = 0; head < a.heads; ++head)
                    for (std::size_t i = 0; i < a.width; ++i)
                        action(key, layout_.first_token[key] + j, head, i);
    }

    PoolCase c_;
    PoolLayout layout_;
    RowOrder token_order_, key_order_;
    Buffer<int> cu_tokens_, cu_keys_;
};

TYPED_TEST(PrefillRows, pooling_and_its_gradient_equal_the_loops) {
    for (const PoolCase& c : {PoolCase{{100}, false, 32, 16, 32, 32},
                              {{70, 70}, false, 8, 4, 192, 128},
                              {{40}, false, 4, 4, 96, 96},  // no overlap
                              {{40}, false, 7, 3, 32, 32},  // three cover a token, and 7 is no power of two
                              {{20}, false, 2, 5, 32, 32},  // tokens that no row covers
                              {{31, 0, 64, 7}, true, 32, 16, 64, 64}}) {
        SCOPED_TRACE("l " + std::to_string(c.l) + ", d " + std::to_string(c.d));
        PoolRun<TypeParam> run{c};
        run.forward();
        run.backward();
    }
}

TYPED_TEST(PrefillRows, gated_sum_and_its_gradient_equal_the_loops) {
    using T = TypeParam;
    constexpr std::size_t kHeads = 3;
    for (const bool head_major : {false, true})
        for (const std::size_t width : {32U, 64U, 96U, 128U}) {
            SCOPED_TRACE("dv " + std::to_string(width));
            const std::size_t length = 11;
            const std::size_t rows = 2 * length;
            const RowOrder order{0, length, head_major};
            std::vector<Array> branches;
            for (unsigned c = 0; c < kBranches; ++c)
                branches.push_back(draw<T>(rows, kHeads, width, c));
            const Array d_out = draw<T>(rows, kHeads, width, 8);
            const Array gates = draw<T>(rows, kHeads, kBranches, 9);
            RowsBuffer<T> cmp{branches[0], order}, sel{branches[1], order}, win{branches[2], order};
            RowsBuffer<T> d_out_rows{d_out, order};
            RowsBuffer<T> gate_rows{gates, {}}, d_gate_rows{rows, kHeads, kBranches, {}};
            RowsBuffer<T> out{rows, kHeads, width, order};
            Buffer<float> delta{kBranches * rows * kHeads};
            PrefillShape shape;
            shape.dtype = kTypeOf<T>;
            shape.batch = 2;
            shape.heads = shape.groups = kHeads;
            shape.dv = static_cast<int>(width);
            shape.max_tokens = static_cast<int>(length);
            shape.tokens = static_cast<std::int64_t>(rows);
            const ConstRows inputs[] = {cmp.rows(), sel.rows(), win.rows()};
            Combine forward;
            CombineBackward backward;
            forward.shape = backward.shape = shape;
            for (int c = 0; c < kBranches; ++c) {
                forward.branch[c] = backward.branch[c] = inputs[c];
                backward.delta[c] = delta.data() + static_cast<std::size_t>(c) * rows * kHeads;
            }
            forward.gates = backward.gates = gate_rows.rows().data;
            forward.out = out.rows();
            backward.d_out = d_out_rows.rows();
            backward.d_gates = d_gate_rows.rows().data;
            ASSERT_EQ(launch_combine(forward, nullptr), cudaSuccess);
            ASSERT_EQ(launch_combine_backward(backward, nullptr), cudaSuccess);
            emulator::finish();

            Array sum{rows, kHeads, width};
            Array d_gates{rows, kHeads, kBranches};
            for (std::size_t row = 0; row < rows; ++row)
                for (std::size_t head = 0; head < kHeads; ++head)
                    for (std::size_t c = 0; c < kBranches; ++c) {
                        double& x = d_gates.at(row, head)[c];
                        for (std::size_t i = 0; i < width; ++i) {
                            sum.at(row, head)[i] += gates.at(row, head)[c] * branches[c].at(row, head)[i];
                            x += d_out.at(row, head)[i] * branches[c].at(row, head)[i];
                        }
                        EXPECT_NEAR(delta[(c * rows + row) * kHeads + head], gates.at(row, head)[c] * x,
                                    1e-4);
                    }
            expect_rounded<T>(out.values(), sum, "sum");
            for (std::size_t i = 0; i < d_gates.values.size(); ++i)
                EXPECT_NEAR(d_gate_rows.values().values[i], d_gates.values[i],
                            1e-4 + 0x1p-8 * std::abs(d_gates.values[i]));
            EXPECT_TRUE(out.intact() && d_gate_rows.intact() && delta.intact());
        }
}

TEST(PrefillChecks, rows_that_no_16_byte_load_can_read_are_refused) {
    alignas(16) static char memory[64];
    DenseForward p;
    p.shape.dk = p.shape.dv = 32;
    p.scale = 1;
    p.q = p.k = p.v = ConstRows{memory, 8, 8, 8};
    p.out = {memory, 8, 8, 4};
    EXPECT_EQ(launch_dense_forward(p, nullptr), cudaErrorMisalignedAddress);
    p.out = {memory + 2, 8, 8, 8};
    EXPECT_EQ(launch_dense_forward(p, nullptr), cudaErrorMisalignedAddress);
    p.out = {memory, 8, 8, 8};
    p.scale = 0;
    EXPECT_EQ(launch_dense_forward(p, nullptr), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace nsa::prefill_test
