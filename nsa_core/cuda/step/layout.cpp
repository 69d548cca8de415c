#include "nsa_core/cuda/step/layout.hpp"

namespace nsa::core::cuda {
namespace {

class Cursor {
  public:
    int take(int floats) {
        const int begin = next_;
        next_ += (floats + 3) / 4 * 4;
        return begin;
    }
    [[nodiscard]] int size() const { return next_; }

  private:
    int next_ = 0;
};

void lay_out_inbox(const StepShape& s, bool own_inbox, StepLayout& at) {
    Cursor group;
    at.q = group.take(s.heads_per_group() * s.dk);
    for (int branch = 0; branch < 3; ++branch) {
        at.fresh_k[branch] = group.take(s.dk);
        at.fresh_v[branch] = group.take(s.dv);
    }
    at.scores = group.take(s.max_compressed() * at.head_slots);
    at.stats = group.take(at.splits * at.head_slots * 2);
    at.partials = group.take(s.heads_per_group() * 3 * at.splits * (4 + s.dv));
    at.group_stride = own_inbox ? 0 : group.size();

    Cursor common;
    (void)common.take(own_inbox ? group.size() : s.groups * group.size());
    at.hidden = common.take(s.gate_hidden);
    at.mixed = common.take(s.heads * s.dv);
    at.inbox = common.size();
}

void lay_out_scratch(const StepShape& s, StepLayout& at) {
    Cursor own;
    at.warp_out = own.take(kStepWarps * kHeadTile * s.dv);
    at.warp_stats = own.take(kStepWarps * kHeadTile * 2);
    at.warp_keys = own.take(kStepWarps);
    at.importance = own.take(s.max_blocks());
    at.places = own.take(s.max_blocks());
    at.picks = own.take(s.n);
    at.logits = own.take(at.owned_heads * 4);
    at.merged = own.take(at.owned_heads * 2 * s.dv);
    at.out_weights = own.take(s.dim / at.ranks * s.heads * s.dv);
    at.scratch = own.size();
}

}  // namespace

StepLayout layout_step(const StepShape& shape, int ranks, bool own_inbox) {
    StepLayout at;
    at.ranks = ranks;
    at.splits = ranks / shape.groups;
    at.head_slots = (shape.heads_per_group() + kHeadTile - 1) / kHeadTile * kHeadTile;
    at.owned_heads = (shape.heads_per_group() + at.splits - 1) / at.splits;
    lay_out_inbox(shape, own_inbox, at);
    lay_out_scratch(shape, at);
    return at;
}

}  // namespace nsa::core::cuda
