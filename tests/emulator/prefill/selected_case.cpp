#include "emulator/prefill/selected_case.hpp"

#include <gtest/gtest.h>

#include "emulator/runtime.hpp"
#include "nsa_core/cuda/prefill/selected.hpp"

namespace nsa::prefill_test {
namespace {

using core::cuda::HalfType;
using core::cuda::SelectedBackward;
using core::cuda::SelectedForward;
using emulator::Buffer;

// Block lists and their inverse, in memory.
class StoredLists {
  public:
    StoredLists(const SelectedCase& c, const Lists& lists)
        : n_{static_cast<std::size_t>(c.shape.n)}, blocks_{lists.size() * n_}, count_{lists.size()} {
        for (std::size_t i = 0; i < lists.size(); ++i) {
            count_[i] = static_cast<int>(lists[i].size());
            std::fill_n(blocks_.data() + i * n_, n_, -1);
            std::ranges::copy(lists[i], blocks_.data() + i * n_);
        }
    }
    [[nodiscard]] core::cuda::BlockLists<const int> view() { return {blocks_.data(), count_.data()}; }

  private:
    std::size_t n_;
    Buffer<int> blocks_;
    Buffer<int> count_;
};

class StoredInverse {
  public:
    StoredInverse(const SelectedCase& c, int item_tokens)
        : pairs_{static_cast<std::size_t>(c.shape.batch * c.shape.groups)},
          blocks_{static_cast<std::size_t>(core::cuda::max_blocks(c.shape))},
          item_tokens_{item_tokens},
          tokens_{static_cast<std::size_t>(c.shape.tokens * c.shape.groups * c.shape.n)},
          first_{pairs_ * (blocks_ + 1)},
          first_item_{pairs_ * (blocks_ + 1)},
          first_part_{pairs_ * (blocks_ + 1)} {
        std::size_t before = 0;
        for (const int length : c.batch.lengths)
            for (int group = 0; group < c.shape.groups;
                 ++group, before += static_cast<std::size_t>(length * c.shape.n))
                begin_.push_back(before);
    }

    [[nodiscard]] core::cuda::InverseLists view() {
        return {tokens_.data(), first_.data(), first_item_.data(), first_part_.data(), item_tokens_};
    }
    [[nodiscard]] Lists lists() {
        Lists lists;
        for (std::size_t pair = 0; pair < pairs_; ++pair) {
            const int* first = first_.data() + pair * (blocks_ + 1);
            for (std::size_t block = 0; block < blocks_; ++block)
                lists.emplace_back(tokens_.data() + begin_[pair] + first[block],
                                   tokens_.data() + begin_[pair] + first[block + 1]);
        }
        return lists;
    }
    [[nodiscard]] bool intact() {
        return tokens_.intact() && first_.intact() && first_item_.intact() && first_part_.intact();
    }

  private:
    std::size_t pairs_, blocks_;
    std::vector<std::size_t> begin_ = {};  // of the tokens of each
    int item_tokens_;
    Buffer<int> tokens_, first_, first_item_, first_part_;
};

Array filled(Array like, double x) {
    std::ranges::fill(like.values, x);
    return like;
}

template <class T>
class Run {
  public:
    Run(const SelectedCase& c, const Inputs& in, const Lists& lists)
        : c_{c},
          in_{in},
          order_{order_of(c.batch, in.q.rows, c.head_major)},
          q_{in.q, order_},
          k_{in.k, order_},
          v_{in.v, order_},
          d_out_{in.d_out, order_},
          out_{in.q.rows, in.q.heads, in.v.width, order_},
          d_q_{filled(in.q, c.add_to_d_q ? 1 : std::nan("")), order_},
          d_k_{in.k.rows, in.k.heads, in.k.width, order_},
          d_v_{in.v.rows, in.v.heads, in.v.width, order_},
          lse_{in.q.rows * in.q.heads},
          lists_{c, lists},
          cu_tokens_{c.batch.first_tokens()} {}

    SelectedResults all(std::uint64_t seed) {
        SelectedResults results;
        forward(seed);
        results.results.out = out_.values();
        backward(seed, results);
        results.lse = lse_.values();
        EXPECT_TRUE(q_.intact() && k_.intact() && v_.intact() && d_out_.intact());
        EXPECT_TRUE(out_.intact() && d_q_.intact() && d_k_.intact() && d_v_.intact() && lse_.intact());
        return results;
    }

  private:
    [[nodiscard]] core::cuda::Sequences sequences() {
        return {.max_tokens = c_.shape.max_tokens,
                .max_compressed = 0,
                .cu_tokens = c_.batch.packed ? cu_tokens_.data() : nullptr,
                .cu_compressed = nullptr};
    }

    [[nodiscard]] core::cuda::RingPlan ring(core::cuda::RingPlan plan) const {
        if (c_.stages > 0) plan.stages = c_.stages;
        return plan;
    }

    // Runs what was launched.
    static void finish(std::uint64_t seed) {
        for (const auto& launch : emulator::finish(seed))
            EXPECT_EQ(launch.counters.ldmatrix_conflicts, 0U) << launch.kernel;
    }

    void forward(std::uint64_t seed) {
        const SelectedForward params{.shape = c_.shape,
                                     .sequences = sequences(),
                                     .q = q_.rows(),
                                     .k = k_.rows(),
                                     .v = v_.rows(),
                                     .lists = lists_.view(),
                                     .out = out_.rows(),
                                     .lse = lse_.data(),
                                     .scale = static_cast<float>(in_.scale)};
        EXPECT_EQ(core::cuda::selected_unsupported(c_.shape, c_.sm), std::nullopt);
        EXPECT_EQ(
            launch_selected_forward(
                params, plan_selected_forward(c_.shape, core::cuda::shared_memory_limit(c_.sm)), nullptr),
            cudaSuccess);
        finish(seed);
    }

    void backward(std::uint64_t seed, SelectedResults& results) {
        const int item_tokens =
            c_.item_tokens > 0 ? c_.item_tokens : core::cuda::selected_item_tokens(c_.shape, 108);
        StoredInverse inverse{c_, item_tokens};
        Buffer<int> counts{core::cuda::inverse_counts(c_.shape)};
        EXPECT_EQ(launch_inverse_lists(core::cuda::MakeInverseLists{.shape = c_.shape,
                                                                    .sequences = sequences(),
                                                                    .lists = lists_.view(),
                                                                    .out = inverse.view(),
                                                                    .counts = counts.data()},
                                       nullptr),
                  cudaSuccess);
        Buffer<float> delta{deltas(results.results.out)};
        std::vector<T> rounded_gates;
        for (const double gate : in_.gates)
            rounded_gates.insert(rounded_gates.end(),
                                 {core::cuda::Half<T>::from_float(static_cast<float>(gate)),
                                  core::cuda::Half<T>::from_float(7.0F)});
        Buffer<T> gates{rounded_gates};
        Buffer<float> parts{core::cuda::selected_parts(c_.shape, item_tokens)};
        const SelectedBackward params{.shape = c_.shape,
                                      .sequences = sequences(),
                                      .q = q_.rows(),
                                      .k = k_.rows(),
                                      .v = v_.rows(),
                                      .d_out = d_out_.rows(),
                                      .lse = lse_.data(),
                                      .delta = delta.data(),
                                      .gates = in_.gates.empty() ? nullptr : gates.data(),
                                      .gate_stride = 2,
                                      .lists = lists_.view(),
                                      .inverse = inverse.view(),
                                      .d_q = d_q_.rows(),
                                      .d_k = d_k_.rows(),
                                      .d_v = d_v_.rows(),
                                      .add_to_d_q = c_.add_to_d_q,
                                      .parts = parts.data(),
                                      .scale = static_cast<float>(in_.scale)};
        EXPECT_EQ(
            launch_selected_dq(
                params, ring(plan_selected_dq(c_.shape, core::cuda::shared_memory_limit(c_.sm))), nullptr),
            cudaSuccess);
        EXPECT_EQ(launch_selected_dkdv(params, nullptr, c_.path), cudaSuccess);
        finish(seed);
        EXPECT_TRUE(inverse.intact() && counts.intact() && parts.intact());
        results.inverse = inverse.lists();
        results.results.d_q = d_q_.values();
        results.results.d_k = d_k_.values();
        results.results.d_v = d_v_.values();
    }

    // g <dO, O> of what the forward wrote.
    [[nodiscard]] std::vector<float> deltas(const Array& out) const {
        std::vector<float> delta;
        for (std::size_t row = 0; row < out.rows; ++row) {
            for (std::size_t head = 0; head < out.heads; ++head) {
                double sum = 0;
                for (std::size_t i = 0; i < out.width; ++i)
                    sum += in_.d_out.at(row, head)[i] * out.at(row, head)[i];
                const double gate = in_.gates.empty() ? 1 : in_.gates[row * out.heads + head];
                delta.push_back(static_cast<float>(gate * sum));
            }
        }
        return delta;
    }

    const SelectedCase& c_;
    const Inputs& in_;
    RowOrder order_;
    RowsBuffer<T> q_, k_, v_, d_out_, out_, d_q_, d_k_, d_v_;
    Buffer<float> lse_;
    StoredLists lists_;
    Buffer<int> cu_tokens_;
};

}  // namespace

void PrintTo(const SelectedCase& c, std::ostream* out) {
    *out << c.name;
}

PrefillShape selected_shape(const Batch& batch, int heads, int groups, int dk, int dv, int l_sel, int n,
                            HalfType dtype) {
    PrefillShape shape;
    shape.dtype = dtype;
    shape.batch = static_cast<int>(batch.lengths.size());
    shape.heads = heads;
    shape.groups = groups;
    shape.dk = dk;
    shape.dv = dv;
    shape.l_sel = l_sel;
    shape.n = n;
    shape.max_tokens = batch.longest();
    shape.tokens = static_cast<std::int64_t>(batch.tokens());
    return shape;
}

Lists random_lists(const SelectedCase& c, Numbers& numbers) {
    Lists lists;
    c.batch.for_tokens([&](std::size_t sequence, int token, std::size_t) {
        for (int group = 0; group < c.shape.groups; ++group) {
            std::vector<int> list;
            const int own = token / c.shape.l_sel;
            int room = std::min(c.shape.n, own + 1);
            for (int block = own; block >= 0 && room > 0; --block) {
                const bool must = block == own || block < room;
                if (!must && numbers.below(block + 1) >= room) continue;
                list.insert(list.begin(), block);
                --room;
            }
            if (sequence == 0 && token == 2) list.clear();
            lists.push_back(std::move(list));
        }
    });
    return lists;
}

Lists inverse_lists(const SelectedCase& c, const Lists& lists) {
    const auto groups = static_cast<std::size_t>(c.shape.groups);
    const auto blocks = static_cast<std::size_t>(core::cuda::max_blocks(c.shape));
    Lists inverse(c.batch.lengths.size() * groups * blocks);
    c.batch.for_tokens([&](std::size_t sequence, int token, std::size_t row) {
        for (std::size_t group = 0; group < groups; ++group)
            for (const int block : lists[row * groups + group])
                inverse[(sequence * groups + group) * blocks + static_cast<std::size_t>(block)].push_back(
                    token);
    });
    return inverse;
}

SelectedResults run_selected(const SelectedCase& c, const Inputs& inputs, const Lists& lists,
                             std::uint64_t seed) {
    return c.shape.dtype == HalfType::kBf16 ? Run<__nv_bfloat16>{c, inputs, lists}.all(seed)
                                            : Run<__half>{c, inputs, lists}.all(seed);
}

}  // namespace nsa::prefill_test
