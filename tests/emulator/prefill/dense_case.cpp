#include "emulator/prefill/dense_case.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "emulator/prefill/oracle.hpp"
#include "emulator/prefill/rows_buffer.hpp"
#include "emulator/runtime.hpp"
#include "nsa_core/cuda/prefill/prefill.hpp"

namespace nsa::prefill_test {
namespace {

using namespace core::cuda;
using emulator::Buffer;

constexpr std::size_t kGap = 2;

// Sequences as the test counts them: rows of all, one behind the other.
struct Layout {
    std::vector<int> tokens{0}, keys{0};  // first rows
    std::vector<std::size_t> sequence_of_token, sequence_of_key;

    explicit Layout(const DenseCase& c) {
        for (std::size_t b = 0; b < c.lengths.size(); ++b) {
            const int length = c.lengths[b];
            int count = c.branch == DenseBranch::kWindow ? length : 0;
            if (c.branch == DenseBranch::kCompressed)
                while (count * c.d + c.l <= length)
                    ++count;
            tokens.push_back(tokens.back() + length);
            keys.push_back(keys.back() + count);
            sequence_of_token.insert(sequence_of_token.end(), static_cast<std::size_t>(length), b);
            sequence_of_key.insert(sequence_of_key.end(), static_cast<std::size_t>(count), b);
        }
    }
    [[nodiscard]] bool visible(const DenseCase& c, std::size_t i, std::size_t j) const {
        if (sequence_of_token[i] != sequence_of_key[j]) return false;
        const int t = static_cast<int>(i) - tokens[sequence_of_token[i]];
        const int key = static_cast<int>(j) - keys[sequence_of_key[j]];
        if (c.branch == DenseBranch::kWindow) return key <= t && key > t - c.w;
        return key * c.d + c.l <= t + 1;
    }
};

template <class T>
double rounded(double x) {
    return Half<T>::to_float(Half<T>::from_float(static_cast<float>(x)));
}

double factor_of(Data data) {
    return data == Data::kHuge ? 16 : data == Data::kTiny ? 1e-3 : 1;
}

template <class T>
Inputs draw_inputs(const DenseCase& c, const Layout& layout) {
    std::mt19937 draw{static_cast<unsigned>(c.dk * 1000 + c.per_group * 10 + c.lengths.front())};
    std::normal_distribution<double> normal;
    const auto heads = static_cast<std::size_t>(c.groups * c.per_group);
    const auto groups = static_cast<std::size_t>(c.groups);
    const auto fill = [&](std::size_t rows, std::size_t count, int width, double factor) {
        Array a{rows, count, static_cast<std::size_t>(width)};
        for (double& x : a.values)
            x = rounded<T>(factor * normal(draw));
        return a;
    };
    const double factor = factor_of(c.data);
    Inputs in;
    in.q = fill(layout.sequence_of_token.size(), heads, c.dk, factor);
    in.k = fill(layout.sequence_of_key.size(), groups, c.dk, factor);
    in.v = fill(layout.sequence_of_key.size(), groups, c.dv, 1);
    in.d_out = fill(layout.sequence_of_token.size(), heads, c.dv, 1);
    in.scale = 1 / std::sqrt(static_cast<float>(c.dk));
    if (c.data == Data::kEqualKeys)
        for (std::size_t i = 0; i < in.k.values.size(); ++i)
            in.k.values[i] = in.k.values[i % static_cast<std::size_t>(c.dk)];
    if (c.gated)
        for (std::size_t i = 0; i < in.q.rows * heads; ++i)
            in.gates.push_back(rounded<T>(1 / (1 + std::exp(-normal(draw)))));
    return in;
}

// Within twice what 16-bit rounding alone makes, plus an eighth of a unit in the last place of the largest,
// plus `noise`: what fp32 leaves where a difference of equals is 0.
template <class T>
void expect_close(const std::string& what, const Array& ours, const Array& truth, const Array& plain,
                  double noise = 0) {
    constexpr double kUnit = std::is_same_v<T, __half> ? 0x1p-11 : 0x1p-8;
    double error = 0;
    double plain_error = 0;
    double largest = 0;
    std::size_t worst = 0;
    for (std::size_t i = 0; i < truth.values.size(); ++i) {
        const double e = std::abs(ours.values[i] - truth.values[i]);
        if (e > error || std::isnan(e)) worst = i;
        error = std::isnan(error) || e <= error ? error : e;
        plain_error = std::max(plain_error, std::abs(plain.values[i] - truth.values[i]));
        largest = std::max(largest, std::abs(truth.values[i]));
    }
    EXPECT_LE(error, 2 * plain_error + kUnit / 8 * largest + noise)
        << what << ": row " << worst / truth.width / truth.heads << ", head "
        << worst / truth.width % truth.heads << ", column " << worst % truth.width << ": "
        << ours.values[worst] << " for " << truth.values[worst] << "; plain error " << plain_error;
}

template <class T>
class DenseRun {
  public:
    explicit DenseRun(const DenseCase& c)
        : c_{c},
          layout_{c},
          inputs_{draw_inputs<T>(c, layout_)},
          token_order_{order(c.lengths.front())},
          key_order_{order(layout_.keys[1])},
          q_{inputs_.q, token_order_},
          k_{inputs_.k, key_order_},
          v_{inputs_.v, key_order_},
          d_out_{inputs_.d_out, token_order_},
          out_{inputs_.q.rows, inputs_.q.heads, inputs_.v.width, token_order_},
          d_q_{c.add_to_d_q ? ones()
                            : RowsBuffer<T>{inputs_.q.rows, inputs_.q.heads, inputs_.q.width, token_order_}},
          d_k_{inputs_.k.rows, inputs_.k.heads, inputs_.k.width, key_order_},
          d_v_{inputs_.v.rows, inputs_.v.heads, inputs_.v.width, key_order_},
          lse_{rows() * inputs_.q.heads},
          delta_{rows() * inputs_.q.heads},
          gates_{rows() * inputs_.q.heads * kBranches},
          cu_tokens_{cumulative(layout_.tokens)},
          cu_keys_{cumulative(layout_.keys)} {
        emulator::Device::multiprocessors = c.multiprocessors;
        for (std::size_t i = 0; i < inputs_.gates.size(); ++i)
            gates_[(i + gap() * inputs_.q.heads) * kBranches + branch()] =
                Half<T>::from_float(static_cast<float>(inputs_.gates[i]));
    }

    Written run() {
        forward();
        preprocess();
        backward();
        const Results truth = results([](double x) { return x; });
        const Results plain = results(rounded<T>);
        judge_forward(truth, plain);
        judge_backward(truth, plain);
        return written();
    }
    Written run_forward() {
        forward();
        judge_forward(results([](double x) { return x; }), results(rounded<T>));
        return written();
    }

    void run_with_nan(std::size_t token) {
        for (std::size_t i = 0; i < inputs_.q.heads * inputs_.q.width; ++i)
            *(static_cast<T*>(q_.rows().data) + token * inputs_.q.heads * inputs_.q.width + i) =
                Half<T>::from_float(NAN);
        forward();
        const Array out = out_.values();
        for (std::size_t i = 0; i < out.values.size(); ++i)
            EXPECT_EQ(std::isnan(out.values[i]), i / (out.heads * out.width) == token) << "element " << i;
        for (std::size_t i = 0; i < out.rows * out.heads; ++i)
            EXPECT_EQ(std::isnan(lse_[i]), i / out.heads == token) << "normaliser " << i;
    }

  private:
    [[nodiscard]] Written written() {
        Written written{out_.bits(), d_q_.bits(), d_k_.bits(), d_v_.bits(), lse_.values(), mma_};
        std::erase_if(written.lse, [](float x) { return std::isnan(x); });  // the gaps
        return written;
    }
    [[nodiscard]] std::size_t gap() const { return c_.packed ? kGap : 0; }
    [[nodiscard]] std::size_t rows() const { return inputs_.q.rows + 2 * gap(); }
    [[nodiscard]] std::size_t branch() const { return c_.branch == DenseBranch::kWindow ? 2 : 0; }
    [[nodiscard]] RowOrder order(int length) const {
        return {gap(), static_cast<std::size_t>(length), c_.head_major};
    }
    [[nodiscard]] RowsBuffer<T> ones() const {
        Array a{inputs_.q.rows, inputs_.q.heads, inputs_.q.width};
        std::fill(a.values.begin(), a.values.end(), 1.0);
        return {a, token_order_};
    }
    [[nodiscard]] std::vector<int> cumulative(std::vector<int> first) const {
        for (int& x : first)
            x += static_cast<int>(gap());
        return first;
    }
    [[nodiscard]] PrefillShape shape() const {
        return {.dtype = c_.dtype,
                .batch = static_cast<int>(c_.lengths.size()),
                .heads = c_.groups * c_.per_group,
                .groups = c_.groups,
                .dk = c_.dk,
                .dv = c_.dv,
                .l = c_.l,
                .d = c_.d,
                .w = c_.w,
                .max_tokens = *std::max_element(c_.lengths.begin(), c_.lengths.end()),
                .tokens = static_cast<std::int64_t>(rows()),
                .compressed = static_cast<std::int64_t>(inputs_.k.rows + 2 * gap())};
    }
    [[nodiscard]] Sequences sequences() {
        const PrefillShape s = shape();
        return {.max_tokens = s.max_tokens,
                .max_compressed = s.compressed_of(s.max_tokens),
                .cu_tokens = c_.packed ? cu_tokens_.data() : nullptr,
                .cu_compressed = c_.packed ? cu_keys_.data() : nullptr};
    }

    void finish() {
        for (const emulator::Finished& f : emulator::finish(c_.seed)) {
            EXPECT_EQ(f.counters.ldmatrix_conflicts, 0U) << f.kernel;
            mma_ += f.counters.mma;
        }
    }
    void forward() {
        ASSERT_EQ(launch_dense_forward({.shape = shape(),
                                        .sequences = sequences(),
                                        .branch = c_.branch,
                                        .q = q_.rows(),
                                        .k = k_.rows(),
                                        .v = v_.rows(),
                                        .out = out_.rows(),
                                        .lse = lse_.data(),
                                        .scale = static_cast<float>(inputs_.scale)},
                                       nullptr, c_.path),
                  cudaSuccess);
        finish();
    }
    void preprocess() {
        CombineBackward p;
        p.shape = shape();
        p.packed = c_.packed;
        p.gates = c_.gated ? gates_.data() : nullptr;
        p.d_out = d_out_.rows();
        p.branch[branch()] = out_.rows();
        p.delta[branch()] = delta_.data();
        ASSERT_EQ(launch_combine_backward(p, nullptr), cudaSuccess);
        finish();
    }
    void backward() {
        const DensePlan plan{.splits = c_.splits};
        Buffer<float> partials{dense_partials(shape(), c_.branch, plan)};
        DenseBackward p{.shape = shape(),
                        .sequences = sequences(),
                        .branch = c_.branch,
                        .q = q_.rows(),
                        .k = k_.rows(),
                        .v = v_.rows(),
                        .d_out = d_out_.rows(),
                        .lse = lse_.data(),
                        .delta = delta_.data(),
                        .gates = c_.gated ? gates_.data() + branch() : nullptr,
                        .d_q = d_q_.rows(),
                        .d_k = d_k_.rows(),
                        .d_v = d_v_.rows(),
                        .partials = partials.data(),
                        .add_to_d_q = c_.add_to_d_q,
                        .scale = static_cast<float>(inputs_.scale)};
        ASSERT_EQ(launch_dense_backward(p, plan, nullptr, DensePart::kAll, c_.path), cudaSuccess);
        finish();
        EXPECT_TRUE(partials.intact());
    }

    [[nodiscard]] Results results(double (*round)(double)) const {
        return attend(
            inputs_, [this](std::size_t i, std::size_t j) { return layout_.visible(c_, i, j); }, round);
    }
    void judge_forward(const Results& truth, const Results& plain) {
        expect_close<T>("out", out_.values(), truth.out, plain.out);
        for (std::size_t i = 0; i < truth.lse.size(); ++i) {
            const double lse = lse_[i + gap() * inputs_.q.heads];
            if (std::isinf(truth.lse[i])) {
                EXPECT_EQ(lse, truth.lse[i]) << "row " << i;
            } else {
                EXPECT_NEAR(lse, truth.lse[i], 1e-5 * (1 + std::abs(truth.lse[i]))) << "row " << i;
            }
        }
        EXPECT_TRUE(q_.intact() && k_.intact() && v_.intact() && out_.intact() && lse_.intact());
    }
    void judge_backward(const Results& truth, const Results& plain) {
        Array d_q = d_q_.values();
        Array plain_d_q = plain.d_q;
        Array true_d_q = truth.d_q;
        if (c_.add_to_d_q)
            for (std::size_t i = 0; i < d_q.values.size(); ++i) {
                plain_d_q.values[i] = rounded<T>(plain_d_q.values[i] + 1);
                true_d_q.values[i] += 1;
            }
        const double noise = 4e-6 * factor_of(c_.data);
        expect_close<T>("dQ", d_q, true_d_q, plain_d_q, noise);
        expect_close<T>("dK", d_k_.values(), truth.d_k, plain.d_k, noise);
        expect_close<T>("dV", d_v_.values(), truth.d_v, plain.d_v);
        for (RowsBuffer<T>* rows : {&q_, &k_, &v_, &d_out_, &out_, &d_q_, &d_k_, &d_v_})
            EXPECT_TRUE(rows->intact());
        EXPECT_TRUE(lse_.intact() && delta_.intact() && gates_.intact());
        for (std::size_t i = 0; i < gap() * inputs_.q.heads; ++i)
            EXPECT_TRUE(std::isnan(lse_[i]) && std::isnan(lse_[lse_.size() - 1 - i]))
                << "beside the sequences";
    }

    DenseCase c_;
    Layout layout_;
    Inputs inputs_;
    RowOrder token_order_, key_order_;
    RowsBuffer<T> q_, k_, v_, d_out_, out_, d_q_, d_k_, d_v_;
    Buffer<float> lse_, delta_;
    Buffer<T> gates_;
    Buffer<int> cu_tokens_, cu_keys_;
    std::uint64_t mma_ = 0;
};

}  // namespace

Written expect_dense(const DenseCase& c) {
    return c.dtype == HalfType::kBf16 ? DenseRun<__nv_bfloat16>{c}.run() : DenseRun<__half>{c}.run();
}

Written expect_dense_forward(const DenseCase& c) {
    return c.dtype == HalfType::kBf16 ? DenseRun<__nv_bfloat16>{c}.run_forward()
                                      : DenseRun<__half>{c}.run_forward();
}

void expect_nan_stays(const DenseCase& c, std::size_t token) {
    DenseRun<__nv_bfloat16>{c}.run_with_nan(token);
}

}  // namespace nsa::prefill_test
