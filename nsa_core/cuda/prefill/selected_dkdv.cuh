// The plan of dK and dV of the selected branch: a thread block takes up to 64 keys of a selection block and
// some of the tokens that selected it, from the inverse list. Blocks with more tokens than one item has are
// summed afterwards, in the order of their items.
#pragma once

#include "nsa_core/cuda/prefill/dkdv.cuh"
#include "nsa_core/cuda/prefill/pieces.cuh"
#include "nsa_core/cuda/prefill/selected_plan.hpp"

namespace nsa::core::cuda {

/// One thread block's share of the work.
struct SelectedItem {
    Sequence tokens;
    Sequence keys;
    int group;
    int first_key;
    int key_count = 0;  // at most kDkdvKeys; 0: nothing to do
    int count;          // of tokens; with none the gradients are zeros
    const int* list;    // in memory, or a copy in shared memory
    int start = 0;      // of its tokens: with which the walk begins
    PartialRows partial;

    [[nodiscard]] __device__ __forceinline__ int token(int i) const { return list[i]; }
    [[nodiscard]] __device__ __forceinline__ Interval seen(int token) const { return {0, token + 1}; }
    /// Which of its tokens see any of the keys from `first` on.
    [[nodiscard]] __device__ __forceinline__ Interval seeing(int first, int /*last*/) const {
        int before = 0;  // tokens ahead of it
        int end = count;
        while (before < end) {
            const int middle = (before + end) / 2;
            if (token(middle) < first) {
                before = middle + 1;
            } else {
                end = middle;
            }
        }
        return {before, count};
    }
};

/// The lists of one (sequence, group).
struct PairLists {
    const int* tokens;
    const int* first;
    const int* first_item;
    const int* first_part;
    std::int64_t before;  // tokens, of all groups

    __device__ PairLists(const InverseLists& lists, const PrefillShape& shape, const Sequence& sequence,
                         int group)
        : before{tokens_before(shape, sequence.first, sequence.length, group)} {
        const std::int64_t pair = static_cast<std::int64_t>(sequence.index) * shape.groups + group;
        const std::int64_t block = pair * (max_blocks(shape) + 1);
        tokens = lists.tokens + before * shape.n;
        first = lists.first + block;
        first_item = lists.first_item + block;
        first_part = lists.first_part + block;
    }
};

/// Where item `part` of those that are parts has its rows: fp32 [parts, l', dk + dv].
__device__ __forceinline__ std::int64_t part_offset(const PrefillShape& shape, int item_tokens,
                                                    const PairLists& lists, int part) {
    return (parts_before(shape, item_tokens, lists.before) + part) * shape.l_sel * (shape.dk + shape.dv);
}

/// Grid: x = (group, item, piece of 64 keys of its block), the piece fastest: items of one group that run
/// together read rows of the same tokens. y = sequence.
struct SelectedItems {
    // All warpgroups hold the block's keys, and take turns with its tokens.
    static constexpr bool kOneTile = true;
    static constexpr int kListTokens = kMaxItemTokens;
    InverseLists lists;
    float* parts = nullptr;

    [[nodiscard]] __device__ __forceinline__ SelectedItem item(const DenseBackward& p,
                                                               const GroupHeads& /*heads*/) const {
        const PrefillShape& shape = p.shape;
        const int of_group = static_cast<int>(gridDim.x) / shape.groups;
        const int group = static_cast<int>(blockIdx.x) / of_group;
        const int pieces = (shape.l_sel - 1) / kDkdvKeys + 1;
        const int piece = static_cast<int>(blockIdx.x) % of_group % pieces;
        const int number = static_cast<int>(blockIdx.x) % of_group / pieces;
        const Sequence rows = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
        const PairLists mine{lists, shape, rows, group};
        const int block = block_of(mine.first_item, max_blocks(shape), number);
        if (block < 0) return {};

        const int item = number - mine.first_item[block];
        const int begin = mine.first[block] + item * lists.item_tokens;
        const int count = min(mine.first[block + 1] - begin, lists.item_tokens);
        const int in_block = piece * kDkdvKeys;
        const int first_key = block * shape.l_sel + in_block;
        const int width = shape.dk + shape.dv;
        PartialRows partial;
        if (mine.first_part[block + 1] > mine.first_part[block]) {
            const std::int64_t part =
                part_offset(shape, lists.item_tokens, mine, mine.first_part[block] + item);
            partial = {parts + part + in_block * width, width};
        }
        return {.tokens = rows,
                .keys = rows,
                .group = group,
                .first_key = first_key,
                .key_count = min(min(kDkdvKeys, shape.l_sel - in_block), rows.length - first_key),
                .count = count,
                .list = mine.tokens + begin,
                .partial = partial};
    }

  private:
    // The block whose items hold `number`, or -1 when there are fewer.
    __device__ __forceinline__ static int block_of(const int* first_item, int blocks, int number) {
        if (number >= first_item[blocks]) return -1;
        int low = 0;
        int high = blocks;  // first_item[low] <= number < first_item[high]
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            if (first_item[middle] <= number) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return low;
    }
};

/// What the kernel of dK and dV reads of the parameters; it is that of the dense branches.
[[nodiscard]] inline DenseBackward dkdv_parameters(const SelectedBackward& p) {
    return {.shape = p.shape,
            .sequences = p.sequences,
            .branch = DenseBranch::kWindow,  // keys are tokens
            .q = p.q,
            .k = p.k,
            .v = p.v,
            .d_out = p.d_out,
            .lse = p.lse,
            .delta = p.delta,
            .gates = p.gates,
            .gate_stride = p.gate_stride,
            .d_q = {},
            .d_k = p.d_k,
            .d_v = p.d_v,
            .partials = nullptr,
            .add_to_d_q = false,
            .scale = p.scale};
}
[[nodiscard]] inline SelectedItems selected_items(const SelectedBackward& p) {
    return {.lists = p.inverse, .parts = p.parts};
}
/// Thread blocks of a sequence.
[[nodiscard]] inline std::int64_t selected_dkdv_blocks(const SelectedBackward& p) {
    const int pieces = (p.shape.l_sel - 1) / kDkdvKeys + 1;
    return std::int64_t{max_items(p.shape, p.inverse.item_tokens)} * pieces * p.shape.groups;
}

inline constexpr int kSumThreads = 128;
// Keys of a block that one thread block sums: the first block has many parts.
inline constexpr int kSumKeys = 16;

/// Sums the parts of the blocks that have some. Grid: x = (block, piece of it, group), the group fastest; y =
/// sequence.
template <class T>
__global__ void __launch_bounds__(kSumThreads)
    selected_sum_kernel(const __grid_constant__ DenseBackward p,
                        const __grid_constant__ SelectedItems items) {
    const PrefillShape& shape = p.shape;
    const int group = static_cast<int>(blockIdx.x) % shape.groups;
    const int pieces = (shape.l_sel - 1) / kSumKeys + 1;
    const int piece = static_cast<int>(blockIdx.x) / shape.groups % pieces;
    const int block = static_cast<int>(blockIdx.x) / shape.groups / pieces;
    const Sequence rows = tokens_of(p.sequences, static_cast<int>(blockIdx.y));
    const PairLists mine{items.lists, shape, rows, group};
    const int begin = mine.first_part[block];
    const int count = mine.first_part[block + 1] - begin;
    if (count == 0) return;
    const bool packed = p.sequences.cu_tokens != nullptr;
    const int width = shape.dk + shape.dv;
    const std::int64_t part_size = std::int64_t{shape.l_sel} * width;
    const int in_block = piece * kSumKeys;
    const float* const parts =
        items.parts + part_offset(shape, items.lists.item_tokens, mine, begin) + in_block * width;
    const int first_key = block * shape.l_sel + in_block;
    const int keys = min(min(kSumKeys, shape.l_sel - in_block), rows.length - first_key);
    for (int i = static_cast<int>(threadIdx.x); i < keys * width / 8; i += kSumThreads) {
        Piece sum = load_piece(parts + i * 8);
#pragma unroll 4
        for (int part = 1; part < count; ++part)
            add_scaled(sum, 1.0F, load_piece(parts + part * part_size + i * 8));
        const KeyOrValue place = key_or_value(i, 1, shape.dk, shape.dv);
        const Rows& to = place.value ? p.d_v : p.d_k;
        T* const row = first_row<T>(to, rows, group, packed) + (first_key + place.row) * to.token;
        store_piece(row + place.piece * 8, sum);
    }
}

}  // namespace nsa::core::cuda
