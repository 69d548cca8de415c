// The inverse of block lists by itself, at lengths of many chunks: tokens, items and parts against plain
// loops.
#include <gtest/gtest.h>

#include "emulator/prefill/selected_case.hpp"
#include "emulator/runtime.hpp"
#include "nsa_core/cuda/prefill/selected.hpp"

namespace nsa::prefill_test {
namespace {

using emulator::Buffer;

// What the kernels fill, one behind the other for each (sequence, group).
struct Inverse {
    std::vector<int> tokens, first, first_item, first_part;

    bool operator==(const Inverse&) const = default;
};

constexpr int kItemTokens = 256;

// Ascending blocks of which two are wanted by most, as in attention: the first one and the token's own.
Lists lists_of(const SelectedCase& c, Numbers& numbers) {
    Lists lists;
    c.batch.for_tokens([&](std::size_t, int token, std::size_t) {
        for (int group = 0; group < c.shape.groups; ++group) {
            const int own = token / c.shape.l_sel;
            std::vector<int> list{0};
            if (own > 1 && numbers.below(2) == 0) list.push_back(1 + numbers.below(own - 1));
            if (own > 0 && numbers.below(8) != 0) list.push_back(own);
            lists.push_back(std::move(list));
        }
    });
    return lists;
}

// Tokens behind the last of a (sequence, group), which has room for n of each of its own, are -1.
Inverse expected(const SelectedCase& c, const Lists& lists) {
    const auto blocks = static_cast<std::size_t>(core::cuda::max_blocks(c.shape));
    std::size_t room = 0;
    const Lists inverse = inverse_lists(c, lists);
    Inverse all;
    for (std::size_t pair = 0; pair * blocks < inverse.size(); ++pair) {
        const int length = c.batch.lengths[pair / static_cast<std::size_t>(c.shape.groups)];
        int first = 0, first_item = 0, first_part = 0;
        for (std::size_t block = 0; block <= blocks; ++block) {
            all.first.push_back(first);
            all.first_item.push_back(first_item);
            all.first_part.push_back(first_part);
            if (block == blocks || static_cast<int>(block) * c.shape.l_sel >= length) continue;
            const std::vector<int>& tokens = inverse[pair * blocks + block];
            all.tokens.insert(all.tokens.end(), tokens.begin(), tokens.end());
            const int count = static_cast<int>(tokens.size());
            const int items = std::max((count + kItemTokens - 1) / kItemTokens, 1);
            first += count;
            first_item += items;
            first_part += items > 1 ? items : 0;
        }
        room += static_cast<std::size_t>(length * c.shape.n);
        all.tokens.resize(room, -1);
    }
    return all;
}

Inverse computed(const SelectedCase& c, const Lists& lists, std::uint64_t seed) {
    const auto n = static_cast<std::size_t>(c.shape.n);
    Buffer<int> blocks{lists.size() * n}, count{lists.size()};
    for (std::size_t i = 0; i < lists.size(); ++i) {
        count[i] = static_cast<int>(lists[i].size());
        std::fill_n(blocks.data() + i * n, n, -1);
        std::ranges::copy(lists[i], blocks.data() + i * n);
    }
    const auto pairs = static_cast<std::size_t>(c.shape.batch * c.shape.groups);
    const std::size_t ends = pairs * static_cast<std::size_t>(core::cuda::max_blocks(c.shape) + 1);
    const std::size_t room = lists.size() * n;
    Buffer<int> tokens{room}, first{ends}, first_item{ends}, first_part{ends};
    Buffer<int> counts{core::cuda::inverse_counts(c.shape)}, cu_tokens{c.batch.first_tokens()};
    std::fill_n(tokens.data(), room, -1);
    EXPECT_EQ(core::cuda::launch_inverse_lists(
                  {.shape = c.shape,
                   .sequences = {.max_tokens = c.shape.max_tokens, .cu_tokens = cu_tokens.data()},
                   .lists = {blocks.data(), count.data()},
                   .out = {tokens.data(), first.data(), first_item.data(), first_part.data(), kItemTokens},
                   .counts = counts.data()},
                  nullptr),
              cudaSuccess);
    (void)emulator::finish(seed);
    EXPECT_TRUE(tokens.intact() && first.intact() && first_item.intact() && first_part.intact() &&
                counts.intact());
    const auto values = [](Buffer<int>& buffer, std::size_t size) {
        return std::vector<int>(buffer.data(), buffer.data() + size);
    };
    return {values(tokens, room), values(first, ends), values(first_item, ends), values(first_part, ends)};
}

SelectedCase case_of(std::vector<int> lengths, int groups, int l_sel) {
    const Batch batch{std::move(lengths), true};
    return {"", selected_shape(batch, groups, groups, 32, 32, l_sel, 3), batch};
}

TEST(InverseLists, of_many_chunks_and_more_than_32_blocks_equal_plain_loops) {
    const SelectedCase c = case_of({8500, 0, 300, 4097}, 1, 128);
    Numbers numbers{1};
    const Lists lists = lists_of(c, numbers);
    EXPECT_EQ(computed(c, lists, 2), expected(c, lists));
}

TEST(InverseLists, do_not_depend_on_the_order_of_threads) {
    const SelectedCase c = case_of({900, 257}, 2, 16);
    Numbers numbers{2};
    const Lists lists = lists_of(c, numbers);
    for (const std::uint64_t seed : {0, 1, 2, 3})
        EXPECT_EQ(computed(c, lists, seed), expected(c, lists)) << "schedule " << seed;
}

}  // namespace
}  // namespace nsa::prefill_test
