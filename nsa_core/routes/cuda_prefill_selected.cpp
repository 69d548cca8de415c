// The lists of selected blocks, and the backward that walks them both ways: by token for dQ, and by block for
// dK and dV.
#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "nsa_core/cuda/prefill/selected_plan.hpp"
#include "nsa_core/routes/cuda_prefill.hpp"
#include "nsa_core/routes/prefill_rows.hpp"

namespace nsa::core {
namespace {

cuda::BlockLists<const int> lists_of(const SelectedLists& lists) {
    return {.blocks = lists.blocks.const_data_ptr<int>(), .count = lists.count.const_data_ptr<int>()};
}

// Which tokens select each block, and the memory that the lists lie in.
struct Inverse {
    const PrefillKernels& kernels;
    std::vector<at::Tensor> memory = {};
    cuda::InverseLists lists = {};

    int* ints(std::int64_t count, at::TensorOptions options) {
        memory.push_back(kernels.empty({count}, options));
        return memory.back().mutable_data_ptr<int>();
    }
};

Inverse empty_inverse(const cuda::PrefillShape& shape, const PrefillKernels& kernels,
                      at::TensorOptions options) {
    const std::int64_t pairs = std::int64_t{shape.batch} * shape.groups;
    const std::int64_t ends = cuda::max_blocks(shape) + 1;
    Inverse inverse{.kernels = kernels};
    inverse.lists = {.tokens = inverse.ints(shape.tokens * shape.groups * shape.n, options),
                     .first = inverse.ints(pairs * ends, options),
                     .first_item = inverse.ints(pairs * ends, options),
                     .first_part = inverse.ints(pairs * ends, options),
                     .item_tokens = cuda::selected_item_tokens(shape, kernels.limits().multiprocessors)};
    return inverse;
}

}  // namespace

SelectedLists CudaPrefill::select(const at::Tensor& given_q, const at::Tensor& given_k,
                                  const at::Tensor& lse) const {
    const at::TensorOptions ints = options_.dtype(at::kInt);
    SelectedLists lists{.blocks = kernels_.empty({shape_.tokens, shape_.groups, shape_.n}, ints),
                        .count = kernels_.empty({shape_.tokens, shape_.groups}, ints)};
    const at::Tensor q = readable(given_q);
    const at::Tensor k = readable(given_k);
    kernels_.importance_top_n({.shape = shape_,
                               .sequences = sequences_,
                               .q = rows_of(q),
                               .k = rows_of(k),
                               .lse = lse.const_data_ptr<float>(),
                               .scale = scale_,
                               .lists = {.blocks = lists.blocks.mutable_data_ptr<int>(),
                                         .count = lists.count.mutable_data_ptr<int>()}});
    return lists;
}

Attended CudaPrefill::selected(const at::Tensor& given_q, const KeysValues& given,
                               const SelectedLists& lists) const {
    Attended a{.out = empty_rows(shape_.heads, length_, shape_.dv), .lse = empty_numbers()};
    const at::Tensor q = readable(given_q);
    const KeysValues rows = readable(given);
    kernels_.selected_forward({.shape = shape_,
                               .sequences = sequences_,
                               .q = rows_of(q),
                               .k = rows_of(rows.k),
                               .v = rows_of(rows.v),
                               .lists = lists_of(lists),
                               .out = result_rows(a.out),
                               .lse = a.lse.mutable_data_ptr<float>(),
                               .scale = scale_});
    return a;
}

BranchGradients CudaPrefill::selected_backward(const at::Tensor& given_q, const KeysValues& given,
                                               const SelectedLists& lists, const at::Tensor& lse,
                                               const at::Tensor& given_d_out, const RowFactors& row) const {
    BranchGradients d{.q = empty_rows(shape_.heads, length_, shape_.dk),
                      .rows = {.k = empty_rows(shape_.groups, length_, shape_.dk),
                               .v = empty_rows(shape_.groups, length_, shape_.dv)}};
    const at::TensorOptions ints = options_.dtype(at::kInt);
    Inverse inverse = empty_inverse(shape_, kernels_, ints);
    kernels_.inverse_lists(
        {.shape = shape_,
         .sequences = sequences_,
         .lists = lists_of(lists),
         .out = inverse.lists,
         .counts = inverse.ints(static_cast<std::int64_t>(cuda::inverse_counts(shape_)), ints)});

    const at::Tensor q = readable(given_q);
    const at::Tensor d_out = readable(given_d_out);
    const KeysValues rows = readable(given);
    const auto floats = static_cast<std::int64_t>(cuda::selected_parts(shape_, inverse.lists.item_tokens));
    const at::Tensor parts = kernels_.empty({floats}, options_.dtype(at::kFloat));
    cuda::SelectedBackward p;
    p.shape = shape_;
    p.sequences = sequences_;
    p.q = rows_of(q);
    p.k = rows_of(rows.k);
    p.v = rows_of(rows.v);
    p.d_out = rows_of(d_out);
    set_row(p, lse, row);
    p.lists = lists_of(lists);
    p.inverse = inverse.lists;
    p.d_q = result_rows(d.q);
    p.d_k = result_rows(d.rows.k);
    p.d_v = result_rows(d.rows.v);
    p.parts = parts.mutable_data_ptr<float>();
    p.scale = scale_;
    kernels_.selected_backward(p);
    return d;
}

at::Tensor CudaPrefill::to_blocks(const SelectedLists& lists) const {
    const std::int64_t picks = std::min(shape_.n, cuda::max_blocks(shape_));
    return lists.blocks.view({batch_, length_, shape_.groups, shape_.n})
        .narrow(3, 0, picks)
        .transpose(1, 2)
        .to(at::kLong);
}

SelectedLists CudaPrefill::to_lists(const at::Tensor& given) const {
    // Kernels read what a list names. What is no block of the query's prefix, or named twice, goes.
    const at::Tensor own = at::arange(length_, given.options()).floor_divide(shape_.l_sel).view({-1, 1});
    const auto none = std::int64_t{cuda::max_blocks(shape_)};
    const auto ascending = [](const at::Tensor& x) { return std::get<0>(x.sort(-1)); };
    const at::Tensor sorted = ascending(given.masked_fill(given.lt(0).logical_or(given.gt(own)), none));
    const at::Tensor again = at::constant_pad_nd(sorted.diff(1, 3).eq(0), {1, 0}, 0);
    const at::Tensor blocks = ascending(sorted.masked_fill(again, none));
    const at::Tensor padded =
        at::constant_pad_nd(blocks.masked_fill(blocks.eq(none), -1), {0, shape_.n - blocks.size(3)}, -1);
    const at::Tensor rows =
        padded.transpose(1, 2).to(at::kInt).reshape({shape_.tokens, shape_.groups, shape_.n}).contiguous();
    return {.blocks = rows, .count = rows.ge(0).sum(-1, /*keepdim=*/false, at::kInt)};
}

}  // namespace nsa::core
