#include "nsa_core/routes/cuda_prefill.hpp"

#include <ATen/ATen.h>

#include <limits>

#include "nsa_core/errors.hpp"
#include "nsa_core/routes/prefill_batch.hpp"
#include "nsa_core/routes/prefill_rows.hpp"

namespace nsa::core {
Packing Packing::of(const at::Tensor& cu_tokens, std::int64_t longest, std::int64_t tokens,
                    const NsaConfig& c) {
    const bool fits = cu_tokens.dim() == 1 && cu_tokens.size(0) >= 2 && cu_tokens.scalar_type() == at::kInt &&
                      cu_tokens.is_contiguous() && longest >= 1 && longest <= tokens;
    if (!fits) {
        throw InputError(c10::str(
            "cu_tokens must be contiguous int32 [sequences + 1], and the longest "
            "sequence have from 1 to all ",
            tokens, " tokens; got ", cu_tokens.scalar_type(), " ", cu_tokens.sizes(), " and ", longest));
    }
    const std::int64_t sequences = cu_tokens.size(0) - 1;
    const at::Tensor lengths = cu_tokens.narrow(0, 1, sequences) - cu_tokens.narrow(0, 0, sequences);
    // compressed_count() of each; a length below l gives a quotient below 0.
    const at::Tensor counts = lengths.sub(c.l).floor_divide(c.d).add(1).clamp_min(0);
    at::Tensor cu_compressed = at::zeros({sequences + 1}, cu_tokens.options());
    cu_compressed.narrow(0, 1, sequences).copy_(counts.cumsum(0));
    // (length - l) / d + 1 <= length / d for each sequence, since l >= d.
    return {.cu_tokens = cu_tokens,
            .cu_compressed = cu_compressed,
            .longest = longest,
            .compressed = tokens / c.d};
}

at::Tensor PrefillKernels::empty(at::IntArrayRef sizes, at::TensorOptions options) const {
    return at::empty(sizes, options);
}

CudaPrefill::CudaPrefill(const NsaConfig& c, double scale, const at::Tensor& like,
                         std::optional<Packing> packing, const PrefillKernels& kernels)
    : packing_{std::move(packing)},
      options_{like.options().requires_grad(false)},
      kernels_{kernels},
      batch_{like.size(0)},
      length_{like.size(2)},
      scale_{static_cast<float>(scale)} {
    const PrefillBatch batch = PrefillBatch::of(c, like, packing_);
    if (const auto reason = cuda::prefill_unsupported(batch.shape)) throw InputError(*reason);
    shape_ = batch.shape;
    sequences_ = batch.sequences;
    compressed_ = batch.compressed;
}

at::Tensor CudaPrefill::empty_rows(std::int64_t heads, std::int64_t length, std::int64_t width) const {
    return kernels_.empty({batch_, length, heads, width}, options_).transpose(1, 2);
}

at::Tensor CudaPrefill::empty_numbers() const {
    return kernels_.empty({shape_.tokens, shape_.heads}, options_.dtype(at::kFloat));
}

KeysValues CudaPrefill::compress(const KeysValues& given) const {
    KeysValues out{.k = empty_rows(shape_.groups, compressed_, shape_.dk),
                   .v = empty_rows(shape_.groups, compressed_, shape_.dv)};
    if (compressed_ == 0) return out;
    const KeysValues rows = readable(given);
    kernels_.mean_pool({.shape = shape_,
                        .sequences = sequences_,
                        .k = rows_of(rows.k),
                        .v = rows_of(rows.v),
                        .k_out = result_rows(out.k),
                        .v_out = result_rows(out.v)});
    return out;
}

KeysValues CudaPrefill::compress_backward(const KeysValues& given) const {
    KeysValues d{.k = empty_rows(shape_.groups, length_, shape_.dk),
                 .v = empty_rows(shape_.groups, length_, shape_.dv)};
    if (compressed_ == 0) return {.k = d.k.zero_(), .v = d.v.zero_()};
    const KeysValues from = readable(given);
    cuda::MeanPoolBackward p;
    p.shape = shape_;
    p.sequences = sequences_;
    p.d_k_out = rows_of(from.k);
    p.d_v_out = rows_of(from.v);
    p.d_k = result_rows(d.k);
    p.d_v = result_rows(d.v);
    kernels_.mean_pool_backward(p);
    return d;
}

Attended CudaPrefill::dense(cuda::DenseBranch branch, const at::Tensor& given_q,
                            const KeysValues& given) const {
    Attended a{.out = empty_rows(shape_.heads, length_, shape_.dv), .lse = empty_numbers()};
    if (branch == cuda::DenseBranch::kCompressed && compressed_ == 0) {
        return {.out = a.out.zero_(), .lse = a.lse.fill_(-std::numeric_limits<double>::infinity())};
    }
    const at::Tensor q = readable(given_q);
    const KeysValues rows = readable(given);
    kernels_.dense_forward({.shape = shape_,
                            .sequences = sequences_,
                            .branch = branch,
                            .q = rows_of(q),
                            .k = rows_of(rows.k),
                            .v = rows_of(rows.v),
                            .out = result_rows(a.out),
                            .lse = a.lse.mutable_data_ptr<float>(),
                            .scale = scale_});
    return a;
}

BranchGradients CudaPrefill::dense_backward(cuda::DenseBranch branch, const at::Tensor& given_q,
                                            const KeysValues& given, const at::Tensor& lse,
                                            const at::Tensor& given_d_out, const RowFactors& row,
                                            const at::Tensor& d_q) const {
    const std::int64_t keys = branch == cuda::DenseBranch::kWindow ? length_ : compressed_;
    BranchGradients d{.q = d_q.defined() ? d_q : empty_rows(shape_.heads, length_, shape_.dk),
                      .rows = {.k = empty_rows(shape_.groups, keys, shape_.dk),
                               .v = empty_rows(shape_.groups, keys, shape_.dv)}};
    if (keys == 0) return {.q = d_q.defined() ? d_q : d.q.zero_(), .rows = d.rows};
    if (packing_ && branch == cuda::DenseBranch::kCompressed) {  // there is room behind the last one
        d.rows.k.zero_();
        d.rows.v.zero_();
    }
    const at::Tensor q = readable(given_q);
    const at::Tensor d_out = readable(given_d_out);
    const KeysValues rows = readable(given);
    const cuda::DensePlan plan = cuda::plan_dense_backward(shape_, branch, kernels_.limits());
    const auto floats = static_cast<std::int64_t>(cuda::dense_partials(shape_, branch, plan));
    const at::Tensor partials = kernels_.empty({floats}, options_.dtype(at::kFloat));
    cuda::DenseBackward p;
    p.shape = shape_;
    p.sequences = sequences_;
    p.branch = branch;
    p.q = rows_of(q);
    p.k = rows_of(rows.k);
    p.v = rows_of(rows.v);
    p.d_out = rows_of(d_out);
    set_row(p, lse, row);
    p.d_q = result_rows(d.q);
    p.add_to_d_q = d_q.defined();
    p.d_k = result_rows(d.rows.k);
    p.d_v = result_rows(d.rows.v);
    p.partials = partials.mutable_data_ptr<float>();
    p.scale = scale_;
    kernels_.dense_backward(p, plan);
    return d;
}

Attended CudaPrefill::sliding(const at::Tensor& q, const KeysValues& rows) const {
    return dense(cuda::DenseBranch::kWindow, q, rows);
}
Attended CudaPrefill::compressed(const at::Tensor& q, const KeysValues& rows) const {
    return dense(cuda::DenseBranch::kCompressed, q, rows);
}
BranchGradients CudaPrefill::sliding_backward(const at::Tensor& q, const KeysValues& rows,
                                              const at::Tensor& lse, const at::Tensor& d_out,
                                              const RowFactors& row, const at::Tensor& d_q) const {
    return dense_backward(cuda::DenseBranch::kWindow, q, rows, lse, d_out, row, d_q);
}
BranchGradients CudaPrefill::compressed_backward(const at::Tensor& q, const KeysValues& rows,
                                                 const at::Tensor& lse, const at::Tensor& d_out,
                                                 const RowFactors& row, const at::Tensor& d_q) const {
    return dense_backward(cuda::DenseBranch::kCompressed, q, rows, lse, d_out, row, d_q);
}

at::Tensor CudaPrefill::combine(const std::array<at::Tensor, 3>& branches, const at::Tensor& gates) const {
    const at::Tensor out = empty_rows(shape_.heads, length_, shape_.dv);
    cuda::Combine p;
    p.shape = shape_;
    p.packed = packing_.has_value();
    std::array<at::Tensor, 3> kept;
    for (std::size_t i = 0; i < branches.size(); ++i) {
        kept[i] = readable(branches[i]);
        p.branch[i] = rows_of(kept[i]);
    }
    p.gates = gates.const_data_ptr();
    p.out = result_rows(out);
    kernels_.combine(p);
    return out;
}

CudaPrefill::CombineGradients CudaPrefill::combine_backward(const std::array<at::Tensor, 3>& branches,
                                                            const at::Tensor& gates,
                                                            const at::Tensor& given_d_out) const {
    const at::Tensor d_out = readable(given_d_out);
    CombineGradients d{.gates = kernels_.empty(gates.sizes(), gates.options()), .delta = {}};
    cuda::CombineBackward p;
    p.shape = shape_;
    p.packed = packing_.has_value();
    for (std::size_t i = 0; i < branches.size(); ++i) {
        d.delta[i] = empty_numbers();
        p.branch[i] = rows_of(branches[i]);
        p.delta[i] = d.delta[i].mutable_data_ptr<float>();
    }
    p.gates = gates.const_data_ptr();
    p.d_out = rows_of(d_out);
    p.d_gates = d.gates.mutable_data_ptr();
    kernels_.combine_backward(p);
    return d;
}

at::Tensor CudaPrefill::delta(const at::Tensor& out, const at::Tensor& given_d_out) const {
    const at::Tensor d_out = readable(given_d_out);
    at::Tensor delta = empty_numbers();
    cuda::CombineBackward p;  // of one branch, without gates
    p.shape = shape_;
    p.packed = packing_.has_value();
    p.branch[0] = rows_of(out);
    p.delta[0] = delta.mutable_data_ptr<float>();
    p.d_out = rows_of(d_out);
    kernels_.combine_backward(p);
    return delta;
}

}  // namespace nsa::core
