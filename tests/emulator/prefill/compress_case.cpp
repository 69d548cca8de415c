#include "emulator/prefill/compress_case.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "emulator/prefill/compress_oracle.hpp"
#include "emulator/prefill/numbers.hpp"
#include "emulator/runtime.hpp"
#include "nsa_core/cuda/compress/compress.hpp"

namespace nsa::prefill_test {
namespace {

using namespace core::cuda;
using emulator::Buffer;

std::size_t size(std::int64_t count) {
    return static_cast<std::size_t>(count);
}

template <class T>
std::vector<T> in_type(const std::vector<double>& values) {
    std::vector<T> all;
    for (const double x : values)
        all.push_back(Half<T>::from_float(static_cast<float>(x)));
    return all;
}
template <class T>
std::vector<double> in_double(Buffer<T>& values) {
    std::vector<double> all;
    for (const T x : values.values())
        all.push_back(Half<T>::to_float(x));
    return all;
}
template <class T>
std::vector<std::uint16_t> bits_of(Buffer<T>& values) {
    const auto* first = reinterpret_cast<const std::uint16_t*>(values.data());
    return {first, first + values.size()};
}

// The bound of parity: twice what a plain implementation errs, plus one rounding of the largest.
template <class T>
void expect_close(const std::string& what, const std::vector<double>& ours, const std::vector<double>& truth,
                  const std::vector<double>& plain) {
    constexpr double kUnit = std::is_same_v<T, __half> ? 0x1p-11 : 0x1p-8;
    EXPECT_LE(largest_error(ours, truth), 2 * largest_error(plain, truth) + kUnit * largest(truth)) << what;
}

// Where the sequences' rows begin, and the tokens that compressed ones begin with.
struct CompressLayout {
    std::vector<int> tokens{0}, keys{0};
    std::vector<std::size_t> blocks;

    explicit CompressLayout(const CompressCase& c) {
        for (const int length : c.lengths) {
            int count = 0;
            for (; count * c.d + c.l <= length; ++count)
                blocks.push_back(size(tokens.back() + count * c.d));
            tokens.push_back(tokens.back() + length);
            keys.push_back(keys.back() + count);
        }
    }
};

double factor_of(PhiData data) {
    return data == PhiData::kHuge ? 32 : data == PhiData::kTiny ? 1e-3 : 1;
}

template <class T>
struct PhiBuffers {
    Buffer<T> position, w1, b1, w2, b2;

    explicit PhiBuffers(const PhiNumbers& p)
        : position{in_type<T>(p.position)},
          w1{in_type<T>(p.w1)},
          b1{in_type<T>(p.b1)},
          w2{in_type<T>(p.w2)},
          b2{in_type<T>(p.b2)} {}
    PhiBuffers(std::size_t block, std::size_t hidden, std::size_t width)
        : position{block}, w1{hidden * block}, b1{hidden}, w2{width * hidden}, b2{width} {}

    std::vector<Buffer<T>*> all() { return {&position, &w1, &b1, &w2, &b2}; }
};

// Keys or values: their numbers, and their memory.
template <class T>
class SideRun {
  public:
    SideRun(const CompressCase& c, const CompressLayout& layout, int width, std::int64_t hidden_rows,
            std::size_t parts, std::uint64_t seed)
        : numbers_{draw(c, layout, size(width), seed)},
          weights_{numbers_.phi},
          d_weights_{size(std::int64_t{c.l} * width), size(c.hidden), size(width)},
          rows_{numbers_.rows, order(c, c.lengths.front())},
          d_out_{numbers_.d_out, order(c, layout.keys[1])},
          out_{layout.blocks.size(), size(c.groups), size(width), order(c, layout.keys[1])},
          d_rows_{numbers_.rows.rows, size(c.groups), size(width), order(c, c.lengths.front())},
          pre_{size(hidden_rows * c.hidden)},
          act_{pre_.size()},
          d_pre_{pre_.size()},
          d_act_{pre_.size()},
          bias_{size(c.hidden)},
          parts_{parts} {}

    CompressForward::Side forward() {
        return {.phi = phi(),
                .rows = rows_.rows(),
                .out = out_.rows(),
                .pre = pre_.data(),
                .act = act_.data(),
                .bias = bias_.data()};
    }
    CompressBackward::Side backward() {
        return {.phi = phi(),
                .rows = rows_.rows(),
                .d_out = d_out_.rows(),
                .pre = pre_.data(),
                .d_pre = d_pre_.data(),
                .act = d_act_.data(),
                .parts = parts_.data(),
                .d_rows = d_rows_.rows(),
                .d_phi = {.position = d_weights_.position.data(),
                          .w1 = d_weights_.w1.data(),
                          .b1 = d_weights_.b1.data(),
                          .w2 = d_weights_.w2.data(),
                          .b2 = d_weights_.b2.data()}};
    }

    void judge(const std::vector<std::size_t>& blocks, const std::string& side) {
        const Compressed truth = results(blocks, [](double x) { return x; });
        const Compressed plain = results(blocks, rounded<T>);
        expect_close<T>(side + ", out", out_.values().values, truth.out.values, plain.out.values);
        expect_close<T>(side + ", d rows", d_rows_.values().values, truth.d_rows.values, plain.d_rows.values);
        const PhiNumbers &d = truth.d_phi, &p = plain.d_phi;
        expect_close<T>(side + ", d position", in_double(d_weights_.position), d.position, p.position);
        expect_close<T>(side + ", dW1", in_double(d_weights_.w1), d.w1, p.w1);
        expect_close<T>(side + ", db1", in_double(d_weights_.b1), d.b1, p.b1);
        expect_close<T>(side + ", dW2", in_double(d_weights_.w2), d.w2, p.w2);
        expect_close<T>(side + ", db2", in_double(d_weights_.b2), d.b2, p.b2);
        for (RowsBuffer<T>* rows : {&rows_, &d_out_, &out_, &d_rows_})
            EXPECT_TRUE(rows->intact()) << side;
        for (Buffer<T>* memory : {&pre_, &act_, &d_pre_, &d_act_})
            EXPECT_TRUE(memory->intact()) << side;
        for (PhiBuffers<T>* weights : {&weights_, &d_weights_})
            for (Buffer<T>* memory : weights->all())
                EXPECT_TRUE(memory->intact()) << side;
        EXPECT_TRUE(bias_.intact() && parts_.intact()) << side;
    }
    void append_bits(CompressBits& all) {
        all.push_back(out_.bits());
        all.push_back(d_rows_.bits());
        for (Buffer<T>* memory : d_weights_.all())
            all.push_back(bits_of(*memory));
    }

  private:
    struct Drawn {
        Array rows, d_out;
        PhiNumbers phi;
    };

    static RowOrder order(const CompressCase& c, int length) {
        return {.gap = c.packed ? 2U : 0U, .length = size(length), .head_major = c.head_major};
    }
    static Drawn draw(const CompressCase& c, const CompressLayout& layout, std::size_t width,
                      std::uint64_t seed) {
        Numbers numbers{seed};
        const auto vector = [&](std::size_t count, double factor) {
            return random_array<T>(count, 1, 1, factor, numbers).values;
        };
        const double factor = factor_of(c.data);
        const std::size_t block = size(c.l) * width;
        Drawn all;
        all.rows = random_array<T>(size(layout.tokens.back()), size(c.groups), width, factor, numbers);
        all.d_out = random_array<T>(layout.blocks.size(), size(c.groups), width, 1, numbers);
        // Positions as large as rows: a plain implementation rounds the sum.
        all.phi.position = vector(block, factor);
        all.phi.w1 = vector(size(c.hidden) * block, 2 / std::sqrt(static_cast<double>(block)));
        all.phi.b1 = vector(size(c.hidden), 1);
        all.phi.w2 = vector(width * size(c.hidden), 2 / std::sqrt(static_cast<double>(c.hidden)));
        all.phi.b2 = vector(width, 1);
        if (c.data == PhiData::kEqual)
            for (std::vector<double>* values :
                 {&all.rows.values, &all.d_out.values, &all.phi.w1, &all.phi.w2})
                std::fill(values->begin(), values->end(), values->front());
        return all;
    }

    [[nodiscard]] Phi phi() {
        return {.position = weights_.position.data(),
                .w1 = weights_.w1.data(),
                .b1 = weights_.b1.data(),
                .w2 = weights_.w2.data(),
                .b2 = weights_.b2.data()};
    }
    [[nodiscard]] Compressed results(const std::vector<std::size_t>& blocks, double (*round)(double)) const {
        return compress(numbers_.rows, blocks, numbers_.phi, numbers_.d_out, round);
    }

    Drawn numbers_;
    PhiBuffers<T> weights_, d_weights_;
    RowsBuffer<T> rows_, d_out_, out_, d_rows_;
    Buffer<T> pre_, act_, d_pre_, d_act_;
    Buffer<float> bias_, parts_;
};

template <class T>
class CompressRun {
  public:
    explicit CompressRun(const CompressCase& c)
        : c_{c},
          layout_{c},
          plan_{.splits = c.splits},
          cu_tokens_{shifted(layout_.tokens)},
          cu_keys_{shifted(layout_.keys)},
          keys_{c, layout_, c.dk, hidden_rows(shape()), compress_parts(shape(), c.hidden, 0, plan_), 1},
          values_{c, layout_, c.dv, hidden_rows(shape()), compress_parts(shape(), c.hidden, 1, plan_), 2} {}

    CompressBits run() {
        CompressBits bits;
        EXPECT_EQ(compress_unsupported(shape(), c_.hidden), std::nullopt);
        EXPECT_EQ(launch_compress_forward({.shape = shape(),
                                           .sequences = sequences(),
                                           .hidden = c_.hidden,
                                           .side = {keys_.forward(), values_.forward()}},
                                          nullptr),
                  cudaSuccess);
        finish();
        EXPECT_EQ(launch_compress_backward({.shape = shape(),
                                            .sequences = sequences(),
                                            .hidden = c_.hidden,
                                            .side = {keys_.backward(), values_.backward()}},
                                           plan_, nullptr),
                  cudaSuccess);
        finish();
        keys_.judge(layout_.blocks, "keys");
        values_.judge(layout_.blocks, "values");
        keys_.append_bits(bits);
        values_.append_bits(bits);
        return bits;
    }

  private:
    void finish() const {
        for (const emulator::Finished& f : emulator::finish(c_.seed))
            EXPECT_EQ(f.counters.ldmatrix_conflicts, 0U) << f.kernel;
    }
    [[nodiscard]] std::vector<int> shifted(std::vector<int> first) const {
        for (int& x : first)
            x += c_.packed ? 2 : 0;
        return first;
    }
    // Packed sequences have room for a tile of compressed tokens more than there are.
    [[nodiscard]] PrefillShape shape() const {
        PrefillShape s;
        s.dtype = c_.dtype;
        s.batch = static_cast<int>(c_.lengths.size());
        s.heads = s.groups = c_.groups;
        s.dk = c_.dk;
        s.dv = c_.dv;
        s.l = c_.l;
        s.d = c_.d;
        s.max_tokens = *std::max_element(c_.lengths.begin(), c_.lengths.end());
        s.tokens = layout_.tokens.back();
        s.compressed = layout_.keys.back() + (c_.packed ? 64 : 0);
        return s;
    }
    [[nodiscard]] Sequences sequences() {
        return {.max_tokens = shape().max_tokens,
                .max_compressed = shape().compressed_of(shape().max_tokens),
                .cu_tokens = c_.packed ? cu_tokens_.data() : nullptr,
                .cu_compressed = c_.packed ? cu_keys_.data() : nullptr};
    }

    CompressCase c_;
    CompressLayout layout_;
    CompressPlan plan_;
    Buffer<int> cu_tokens_, cu_keys_;
    SideRun<T> keys_, values_;
};

}  // namespace

CompressBits expect_compression(const CompressCase& c) {
    return c.dtype == HalfType::kBf16 ? CompressRun<__nv_bfloat16>{c}.run() : CompressRun<__half>{c}.run();
}

}  // namespace nsa::prefill_test
