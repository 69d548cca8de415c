// Importance and the choice of blocks against plain loops, on the emulator.
#include <gtest/gtest.h>

#include <numeric>

#include "emulator/prefill/numbers.hpp"
#include "emulator/runtime.hpp"
#include "nsa_core/cuda/prefill/selected.hpp"

namespace nsa::prefill_test {
namespace {

using core::cuda::HalfType;
using core::cuda::ImportanceTopN;
using core::cuda::KernelPath;
using emulator::Buffer;

struct Case {
    std::string name;
    PrefillShape shape;
    Batch batch;
    bool head_major = false;  // [B, H, S, dk] in place of [B, S, H, dk]
    double size = 1.5;        // of queries and keys
    bool equal_keys = false;
};

void PrintTo(const Case& c, std::ostream* out) {
    *out << c.name;
}

struct Chosen {
    Lists lists;
    Importance importance;
};

bool by_warpgroups(const PrefillShape& shape) {
    return core::cuda::warpgroup_top_n_shared_bytes(shape).has_value();
}

// What the kernel of this path makes of q and k. Without importance, thread blocks whose tokens select all
// that they see make no scores.
template <class T>
Chosen run(const Case& c, const Array& q, const Array& k, KernelPath path, std::uint64_t seed,
           bool with_importance = true) {
    const PrefillShape& shape = c.shape;
    const std::size_t groups = k.heads;
    const auto n = static_cast<std::size_t>(shape.n);
    const std::size_t tokens = q.rows;
    RowsBuffer<T> q_rows{q, order_of(c.batch, q.rows, c.head_major)};
    RowsBuffer<T> k_rows{k, order_of(c.batch, k.rows, c.head_major)};
    std::vector<float> sums;
    for (const double x : compressed_lse(shape, c.batch, q, k, 1 / std::sqrt(shape.dk)))
        sums.push_back(static_cast<float>(x));
    Buffer<float> lse{sums};
    Buffer<int> blocks{tokens * groups * n};
    Buffer<int> count{tokens * groups};
    const auto width = static_cast<std::size_t>(core::cuda::max_blocks(shape));
    Buffer<float> importance{tokens * groups * width};
    Buffer<int> cu_tokens{c.batch.first_tokens()};
    Buffer<int> cu_compressed{c.batch.first_compressed(shape)};
    const ImportanceTopN params{
        .shape = shape,
        .sequences = {.max_tokens = shape.max_tokens,
                      .max_compressed = shape.compressed_of(shape.max_tokens),
                      .cu_tokens = c.batch.packed ? cu_tokens.data() : nullptr,
                      .cu_compressed = c.batch.packed ? cu_compressed.data() : nullptr},
        .q = q_rows.rows(),
        .k = k_rows.rows(),
        .lse = lse.data(),
        .scale = static_cast<float>(1 / std::sqrt(shape.dk)),
        .lists = {.blocks = blocks.data(), .count = count.data()},
        .importance = with_importance ? importance.data() : nullptr};
    EXPECT_EQ(core::cuda::top_n_unsupported(shape, 80), std::nullopt);
    EXPECT_EQ(launch_importance_top_n(params, nullptr, path), cudaSuccess);
    for (const auto& launch : emulator::finish(seed)) {
        EXPECT_EQ(launch.counters.ldmatrix_conflicts, 0U);
        EXPECT_EQ(launch.kernel.find("warpgroup") != std::string::npos,
                  path == KernelPath::kAuto && by_warpgroups(shape));
    }
    EXPECT_TRUE(blocks.intact() && count.intact() && importance.intact());
    Chosen chosen;
    c.batch.for_tokens([&](std::size_t, int token, std::size_t row) {
        for (std::size_t list = row * groups; list < (row + 1) * groups; ++list) {
            const int* first = blocks.data() + list * n;
            for (std::size_t i = static_cast<std::size_t>(count[list]); i < n; ++i)
                EXPECT_EQ(first[i], -1) << "behind the list of token " << token;
            chosen.lists.emplace_back(first, first + count[list]);
            if (!with_importance) continue;
            const float* values = importance.data() + list * width;
            chosen.importance.emplace_back(values, values + token / shape.l_sel + 1);
        }
    });
    return chosen;
}

// Error of a block's importance that fp32 scores, exponents and sums explain.
double bound(const Case& c, double importance) {
    const double exponents = c.size * c.size * std::sqrt(c.shape.dk) * 1.45;
    return importance * std::ldexp(32 + exponents, -22) + 1e-9;
}

// The block that `got` has in place of one of `wanted` is as good within the error bound.
void expect_close_choice(const Case& c, const std::vector<int>& got, const std::vector<int>& wanted,
                         const std::vector<double>& importance, int& swapped) {
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 1; i < got.size(); ++i)
        ASSERT_LT(got[i - 1], got[i]);
    if (got == wanted) return;
    ++swapped;
    double worst_taken = std::numeric_limits<double>::infinity();
    double best_left = 0;
    const auto has = [](const std::vector<int>& list, int block) {
        return std::ranges::count(list, block) > 0;
    };
    for (std::size_t j = 0; j < importance.size(); ++j) {
        const int block = static_cast<int>(j);
        if (has(got, block) && !has(wanted, block)) worst_taken = std::min(worst_taken, importance[j]);
        if (!has(got, block) && has(wanted, block)) best_left = std::max(best_left, importance[j]);
    }
    EXPECT_LE(best_left - worst_taken, 2 * bound(c, best_left));
}

class ImportanceTopNTest : public testing::TestWithParam<Case> {
  protected:
    template <class T>
    void check() {
        const Case& c = GetParam();
        Numbers numbers{c.name.size()};
        const auto heads = static_cast<std::size_t>(c.shape.heads);
        const auto groups = static_cast<std::size_t>(c.shape.groups);
        const auto width = static_cast<std::size_t>(c.shape.dk);
        const Array q = random_array<T>(c.batch.tokens(), heads, width, c.size, numbers);
        Array k = random_array<T>(c.batch.compressed(c.shape), groups, width, c.size, numbers);
        if (c.equal_keys)
            for (std::size_t row = 1; row < k.rows; ++row)
                std::copy_n(k.at(0, 0), groups * width, k.at(row, 0));
        const Importance truth = block_importance(c.shape, c.batch, q, k, 1 / std::sqrt(c.shape.dk));
        check_path<T>(q, k, truth, KernelPath::kMma);
        if (by_warpgroups(c.shape)) check_path<T>(q, k, truth, KernelPath::kAuto);
    }

  private:
    template <class T>
    void check_path(const Array& q, const Array& k, const Importance& truth, KernelPath path) {
        const Case& c = GetParam();
        SCOPED_TRACE(path == KernelPath::kMma ? "mma" : "warpgroup");
        const Lists wanted = choose(c.shape, c.batch, truth);
        int swapped = 0;
        const Chosen chosen = run<T>(c, q, k, path, 2);
        for (std::size_t list = 0; list < wanted.size(); ++list) {
            for (std::size_t j = 0; j < truth[list].size(); ++j)
                ASSERT_NEAR(chosen.importance[list][j], truth[list][j], bound(c, truth[list][j]))
                    << "list " << list << " block " << j;
            // Among equal keys every block but the first and the last is a tie, which goes to the lower
            // index.
            if (c.equal_keys) {
                ASSERT_EQ(chosen.lists[list], wanted[list]) << "list " << list;
            }
            expect_close_choice(c, chosen.lists[list], wanted[list], truth[list], swapped);
        }
        RecordProperty("lists", static_cast<int>(wanted.size()));
        RecordProperty("swapped", swapped);
        // Huge scores leave one block with all, and the others below the smallest float: alike.
        if (c.size < 10) {
            EXPECT_LE(swapped, static_cast<int>(wanted.size()) / 100);
        }
        const Chosen again = run<T>(c, q, k, path, 1);
        EXPECT_EQ(again.lists, chosen.lists);
        EXPECT_EQ(again.importance, chosen.importance) << "another order of threads gives other bits";
        EXPECT_EQ(run<T>(c, q, k, path, 2, /*with_importance=*/false).lists, chosen.lists);
    }
};

TEST_P(ImportanceTopNTest, agrees_with_plain_loops) {
    GetParam().shape.dtype == HalfType::kBf16 ? check<__nv_bfloat16>() : check<__half>();
}

PrefillShape shape_of(const Batch& batch, int heads, int groups, int dk, HalfType dtype = HalfType::kBf16) {
    PrefillShape shape;
    shape.dtype = dtype;
    shape.batch = static_cast<int>(batch.lengths.size());
    shape.heads = heads;
    shape.groups = groups;
    shape.dk = dk;
    shape.dv = dk == 192 ? 128 : dk;
    shape.max_tokens = batch.longest();
    shape.tokens = static_cast<std::int64_t>(batch.tokens());
    return shape;
}

PrefillShape with(PrefillShape shape, int l, int d, int l_sel, int n, int n_initial, int n_local) {
    shape.l = l;
    shape.d = d;
    shape.l_sel = l_sel;
    shape.n = n;
    shape.n_initial = n_initial;
    shape.n_local = n_local;
    return shape;
}

std::vector<Case> cases() {
    const Batch one{{131}, false};
    const Batch two{{70, 70}, false};
    const Batch ragged{{1, 90, 0, 7, 33, 150}, true};
    const Batch longer{{300}, false};
    const Batch tiny{{5}, false};
    const Batch longest{{1100}, false};  // more than 16 blocks of 64
    const Batch many{{1000}, false};     // 16 tiles of compressed keys, a ring of 4 stages
    const auto fp16 = HalfType::kFp16;
    return {
        {"paper_defaults", shape_of(longest, 2, 1, 32), longest},
        {"paper_ratios", with(shape_of(longer, 4, 2, 64), 8, 4, 16, 6, 1, 2), longer},
        {"paper_sizes", with(shape_of(longer, 2, 1, 64), 32, 16, 64, 3, 1, 1), longer},
        {"sixteen_heads_fp16", with(shape_of(one, 16, 1, 128, fp16), 8, 4, 16, 5, 1, 2), one},
        {"eight_heads_wide_keys", with(shape_of(two, 8, 1, 192), 8, 4, 16, 4, 1, 1), two, true},
        {"four_heads", with(shape_of(two, 8, 2, 64, fp16), 8, 4, 16, 5, 1, 2), two, true},
        {"no_overlap", with(shape_of(one, 2, 2, 64), 4, 4, 16, 4, 0, 1), one},
        {"any_ratio", with(shape_of(one, 4, 1, 96), 6, 2, 10, 7, 2, 2), one},
        {"long_tokens", with(shape_of(one, 2, 1, 32, fp16), 24, 4, 8, 6, 1, 1), one},
        {"ragged", with(shape_of(ragged, 4, 2, 64), 8, 4, 16, 4, 1, 2), ragged},
        {"ragged_any_ratio", with(shape_of(ragged, 2, 2, 32, fp16), 9, 3, 12, 4, 1, 1), ragged, true},
        {"shorter_than_a_token", with(shape_of(tiny, 2, 1, 64), 32, 16, 64, 16, 1, 2), tiny},
        {"more_than_there_are", with(shape_of(one, 1, 1, 32), 8, 4, 16, 32, 1, 2), one},
        {"huge_scores", with(shape_of(one, 4, 1, 64), 8, 4, 16, 5, 1, 2), one, false, 40},
        {"equal_keys", with(shape_of(longer, 4, 2, 64), 8, 4, 16, 6, 1, 2), longer, false, 1.5, true},
        {"equal_keys_of_many_blocks", with(shape_of(longer, 2, 1, 32), 2, 1, 4, 6, 1, 2), longer, false, 1.5,
         true},
        {"rings_that_go_round", with(shape_of(many, 1, 1, 64), 2, 1, 4, 7, 1, 2), many},
        {"many_blocks", with(shape_of(longer, 2, 1, 32, fp16), 3, 1, 5, 9, 2, 2), longer},
        {"equal_keys_of_sixteen_heads", with(shape_of(one, 16, 1, 64), 8, 4, 16, 3, 0, 1), one, false, 1.5,
         true},
        {"equal_keys_any_ratio", with(shape_of(one, 2, 1, 32), 6, 2, 10, 5, 1, 1), one, false, 1.5, true},
    };
}

TEST(ImportanceTopN, a_nan_counts_as_nothing) {
    const Batch batch{{120}, false};
    const Case c{"nan", with(shape_of(batch, 2, 1, 64), 8, 4, 16, 4, 1, 2), batch};
    Numbers numbers{1};
    Array q = random_array<__nv_bfloat16>(120, 2, 64, 1, numbers);
    const Array k = random_array<__nv_bfloat16>(batch.compressed(c.shape), 1, 64, 1, numbers);
    std::fill_n(q.at(110, 0), 2 * 64, std::nan(""));
    for (const KernelPath path : {KernelPath::kMma, KernelPath::kAuto})
        EXPECT_EQ(run<__nv_bfloat16>(c, q, k, path, 2).lists[110], (std::vector<int>{0, 1, 5, 6}));
}

INSTANTIATE_TEST_SUITE_P(Cases, ImportanceTopNTest, testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace nsa::prefill_test
