#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nsa_core/attention.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/routes/paged_step.hpp"

namespace nsa::core {
namespace {

at::ScalarType wide(const at::Tensor& x) {
    return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

// q [H,dk] over the keys of its groups, all of them visible: [H,dv] in the wide type, 0 without keys.
at::Tensor attend(const at::Tensor& q, const KeysValues& rows, double scale) {
    const std::int64_t groups = rows.k.size(0);
    const at::ScalarType type = wide(q);
    const at::Tensor queries = q.to(type).unflatten(0, {groups, q.size(0) / groups});
    if (rows.k.size(1) == 0) return at::zeros({q.size(0), rows.v.size(2)}, queries.options());
    const at::Tensor scores = at::matmul(queries, rows.k.to(type).transpose(1, 2)) * scale;
    return at::matmul(at::softmax(scores, -1), rows.v.to(type)).flatten(0, 1);
}

class Step {
  public:
    Step(const PagedStepInputs& in, const PagedCache& cache, std::int64_t b, std::int64_t t)
        : in_{in}, cache_{cache}, config_{cache.config()}, b_{b}, t_{t}, q_{in.q[b]} {}

    void append() const {
        append_row(cache_.sel(), t_, in_.sel.k[b_], in_.sel.v[b_]);
        append_row(cache_.win(), t_, in_.win.k[b_], in_.win.v[b_]);
        const std::int64_t slot = t_ % config_.l;
        cache_.raw().k[b_].select(1, slot).copy_(in_.raw.k[b_]);
        cache_.raw().v[b_].select(1, slot).copy_(in_.raw.v[b_]);
        const std::int64_t count = compressed_count(t_ + 1, config_);
        if (count == compressed_count(t_, config_)) return;
        const auto mean = [](const at::Tensor& ring) {
            return ring.to(wide(ring)).mean(1).to(ring.scalar_type());
        };
        // The ring holds the last l tokens, which are those of the block that has just become full.
        append_row(cache_.cmp(), count - 1, mean(cache_.raw().k[b_]), mean(cache_.raw().v[b_]));
    }

    // Output of the gate for one sequence, and what was chosen and read on the way.
    void attend_all(const PagedStepOutputs& out) const {
        const KeysValues cmp = cache_.gather(cache_.cmp(), b_, compressed_count(t_ + 1, config_));
        const at::Tensor blocks = choose(cmp);
        const KeysValues sel = selected_rows(blocks);
        const std::int64_t window = std::min(config_.w, t_ + 1);
        KeysValues win = cache_.gather(cache_.win(), b_, t_ + 1);
        win = {.k = win.k.narrow(1, t_ + 1 - window, window), .v = win.v.narrow(1, t_ + 1 - window, window)};

        const at::Tensor gates = in_.gates[b_].to(wide(q_)).unsqueeze(-1);  // [H,3,1]
        const double scale = config_.scale();
        const at::Tensor mixed = gates.select(1, 0) * attend(q_, cmp, scale) +
                                 gates.select(1, 1) * attend(q_, sel, scale) +
                                 gates.select(1, 2) * attend(q_, win, scale);
        out.out[b_].copy_(mixed);
        if (out.blocks.defined()) {
            out.blocks[b_].fill_(-1);
            out.blocks[b_].narrow(1, 0, blocks.size(1)).copy_(blocks);
        }
        if (out.reads.defined()) {
            const at::Tensor read = at::tensor({cmp.k.size(1), sel.k.size(1), win.k.size(1)}, at::kInt);
            out.reads[b_].add_(read.to(out.reads.device()));
        }
    }

  private:
    void append_row(const KeysValues& pool, std::int64_t row, const at::Tensor& k,
                    const at::Tensor& v) const {
        const PagedCache::Place place = cache_.place_of(pool, b_, row);
        pool.k[place.page].select(1, place.row).copy_(k);
        pool.v[place.page].select(1, place.row).copy_(v);
    }

    // [G, picks]
    at::Tensor choose(const KeysValues& cmp) const {
        const std::int64_t blocks = block_count(t_ + 1, config_);
        const at::Tensor query = q_.unsqueeze(0).unsqueeze(2);  // [1,H,1,dk]
        const at::Tensor importance = block_importance(query, cmp.k.unsqueeze(0), t_, blocks, config_);
        return select_blocks(importance, t_, config_)[0].select(1, 0);
    }

    // The tokens up to t of the chosen blocks. Every group chooses its own block, so all groups have as many.
    KeysValues selected_rows(const at::Tensor& blocks) const {
        const at::Tensor inside = at::arange(config_.l_sel, blocks.options());
        const at::Tensor token = (blocks.unsqueeze(-1) * config_.l_sel + inside).flatten(1);  // [G, tokens]
        const at::Tensor seen = token.masked_select(token.le(t_)).view({blocks.size(0), -1});
        const KeysValues all = cache_.gather(cache_.sel(), b_, t_ + 1);
        const auto pick = [&](const at::Tensor& x) {
            return x.gather(1, seen.unsqueeze(-1).expand({-1, -1, x.size(2)}));
        };
        return {.k = pick(all.k), .v = pick(all.v)};
    }

    const PagedStepInputs& in_;
    const PagedCache& cache_;
    const NsaConfig& config_;
    std::int64_t b_;
    std::int64_t t_;
    at::Tensor q_;
};

}  // namespace

void reference_paged_step(const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out) {
    const c10::NoGradGuard no_grad;
    const at::Tensor positions = cache.position().cpu();
    for (std::int64_t b = 0; b < positions.size(0); ++b) {
        const std::int64_t t = positions[b].item<std::int64_t>();
        if (t < 0) {
            out.out[b].zero_();
            if (out.blocks.defined()) out.blocks[b].fill_(-1);
            continue;
        }
        const Step step{in, cache, b, t};
        step.append();
        step.attend_all(out);
    }
}

}  // namespace nsa::core
