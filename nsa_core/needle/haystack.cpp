#include "nsa_core/needle/haystack.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <string>

#include "nsa_core/attention.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/routes/cuda_decode.hpp"

namespace nsa::core::needle {
namespace {

// Keys [G,dk] with q_h . k scale = strength for every head h of the group: the shortest such, k = Q' (Q
// Q')^-1 s.
at::Tensor answering_keys(const at::Tensor& q, const NsaConfig& c, double strength) {
    const at::Tensor queries = q.to(at::kCPU, at::kDouble).unflatten(0, {c.groups, c.heads_per_group()});
    const at::Tensor wanted =
        at::full({c.groups, c.heads_per_group(), 1}, strength / c.scale(), queries.options());
    const at::Tensor gram = at::matmul(queries, queries.transpose(1, 2));
    return at::matmul(queries.transpose(1, 2), at::linalg_solve(gram, wanted)).squeeze(2);
}

KeysValues past(const at::Tensor& keys, const at::Tensor& values) {
    const std::int64_t tokens = keys.size(1) - 1;
    return {.k = keys.narrow(1, 0, tokens), .v = values.narrow(1, 0, tokens)};
}

// Contiguous, as a paged step wants its rows.
KeysValues next(const at::Tensor& keys, const at::Tensor& values) {
    const auto last = [](const at::Tensor& rows) { return rows.select(1, -1).unsqueeze(0).contiguous(); };
    return {.k = last(keys), .v = last(values)};
}

}  // namespace

Haystack::Haystack(const HaystackShape& shape, double strength, std::int64_t seed, at::Device device)
    : shape_{shape} {
    const NsaConfig& c = shape.config;
    if (c.dk < c.heads_per_group()) {
        throw InputError("one key must answer the " + std::to_string(c.heads_per_group()) +
                         " heads of a group, which takes --dk of as many; it is " + std::to_string(c.dk));
    }
    at::Generator generator = parity::seeded_generator(seed);
    const auto options = at::TensorOptions{scalar_type(shape.dtype)}.device(device);
    const auto drawn = [&](at::IntArrayRef sizes) {
        return at::randn(sizes, generator, at::TensorOptions{at::kFloat}).to(options);
    };
    q_ = drawn({c.heads, c.dk});
    keys_ = drawn({c.groups, shape.seq, c.dk});
    values_ = drawn({c.groups, shape.seq, c.dv});
    if (shape.mode == Mode::kPrefill) earlier_ = drawn({c.heads, shape.seq - 1, c.dk});
    needle_ = answering_keys(q_, c, strength).to(options);
}

Haystack::Answer Haystack::ask(const at::Tensor& keys) const {
    return shape_.mode == Mode::kDecode ? step(keys) : prefill(keys);
}

Haystack::Answer Haystack::prefill(const at::Tensor& keys) const {
    const NsaConfig& c = shape_.config;
    const at::Tensor q = at::cat({earlier_, q_.unsqueeze(1)}, 1).unsqueeze(0);  // [1,H,S,dk]
    const at::Tensor k = keys.unsqueeze(0);
    const at::Tensor v = values_.unsqueeze(0);
    const Execution how{.route = shape_.route};
    const at::Tensor blocks = choose_blocks(q, compress_mean({.k = k, .v = v}, c, how), c, how);
    const at::Tensor out = selected_attention(q, k, v, blocks, c, how);
    const std::int64_t last = shape_.seq - 1;
    return {.out = out[0].select(1, last).to(at::kCPU, at::kDouble),
            .blocks = blocks[0].select(1, last).cpu()};
}

Haystack::Answer Haystack::step(const at::Tensor& keys) const {
    const NsaConfig& c = shape_.config;
    const std::int64_t pages = (shape_.seq + shape_.page_tokens - 1) / shape_.page_tokens;
    PagedCache cache{
        c,
        {.batch = 1, .max_tokens = shape_.seq, .page_tokens = shape_.page_tokens, .pages = pages},
        keys.options()};
    const KeysValues rows = past(keys, values_);
    const KeysValues compressed{.k = compress_mean(rows.k.unsqueeze(0), c)[0],
                                .v = compress_mean(rows.v.unsqueeze(0), c)[0]};
    cache.fill(0, {.raw = rows, .cmp = compressed, .sel = rows, .win = rows});
    cache.reserve(0, shape_.seq);

    const KeysValues own = next(keys, values_);
    at::Tensor gates = at::zeros({1, c.heads, 3}, keys.options());
    gates.select(2, 1).fill_(1);  // in the order cmp, sel, win
    const PagedStepInputs in{.q = q_.unsqueeze(0), .gates = gates, .raw = own, .sel = own, .win = own};
    const PagedStepOutputs out{.out = at::empty({1, c.heads, c.dv}, keys.options()),
                               .blocks = at::empty({1, c.groups, c.n}, keys.options().dtype(at::kInt)),
                               .reads = {}};
    if (shape_.route == Route::kCuda) {
        CudaDecode{cache}.step(in, cache, out);
    } else {
        reference_paged_step(in, cache, out);
    }
    return {.out = out.out[0].to(at::kCPU, at::kDouble), .blocks = out.blocks[0].cpu()};
}

std::vector<bool> Haystack::hits(const at::Tensor& blocks, std::int64_t position) const {
    const at::Tensor found = blocks.eq(position / shape_.config.l_sel).any(1);
    std::vector<bool> hits;
    for (std::int64_t group = 0; group < found.size(0); ++group)
        hits.push_back(found[group].item<bool>());
    return hits;
}

Trial Haystack::find(std::int64_t position) {
    const c10::NoGradGuard no_grad;
    const NsaConfig& c = shape_.config;
    if (!by_chance_.defined()) by_chance_ = ask(keys_).blocks;
    at::Tensor planted = keys_.clone();
    planted.select(1, position).copy_(needle_);
    const Answer answer = ask(planted);
    const at::Tensor value = values_.select(1, position)
                                 .to(at::kCPU, at::kDouble)
                                 .repeat_interleave(c.heads_per_group(), 0);  // [H,dv]
    const at::Tensor errors = (answer.out - value).norm(2, {1}) / value.norm(2, {1});
    return {
        .hits = hits(answer.blocks, position),
        .chance_hits = hits(by_chance_, position),
        .value_errors = {errors.const_data_ptr<double>(), errors.const_data_ptr<double>() + errors.numel()}};
}

}  // namespace nsa::core::needle
