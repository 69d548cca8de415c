// Where the ranks of a step find what they hand one another, and each its own scratch. Offsets in floats, all
// multiples of 4, so that every array can be read 16 bytes at a time. What depends on the capacity comes
// last, so that with fixed sizes all other offsets are constants of the compiler.
#pragma once

#include "nsa_core/cuda/step/params.hpp"

namespace nsa::core::cuda {

inline constexpr int kStepWarps = 8;  // of a rank
inline constexpr int kStepThreads = 32 * kStepWarps;
inline constexpr int kHeadTile = 4;  // heads of a group that share one pass over the keys

/// A rank is one thread block. Rank r works for group r / splits, on share r % splits of its keys.
struct StepLayout {
    int ranks = 0;
    int splits = 0;  // ranks of a group
    int heads_per_group = 0;
    int head_slots = 0;   // heads of a group, rounded up to whole tiles
    int owned_heads = 0;  // that a rank merges and gates, at most

    // Inbox: written by other ranks, read after the next barrier. A section per group, then what all read.
    int group_stride = 0;  // 0 when every rank has an inbox of its own, which holds its group only
    int q = 0;             // [heads per group, dk]
    int fresh_k[3] = {};   // [dk] the rows that this step makes: cmp, sel, win
    int fresh_v[3] = {};   // [dv]
    int stats = 0;         // [splits, head_slots, 2] maximum and sum of the compressed scores of a split
    int partials = 0;      // [heads per group, 3, splits, 4 + dv]: maximum, sum, keys, -, unnormalised output
    int hidden = 0;        // [gate_hidden]
    int mixed = 0;         // [H dv]
    int scores =
        0;  // [compressed tokens, head_slots] in log2 units; a group's section is `scores_stride` long
    int scores_stride = 0;  // 0 as group_stride
    int inbox_size = 0;

    // Shared memory of a rank: its own scratch, and its inbox if it has one.
    int warp_out = 0;      // [warps, kHeadTile, dv]
    int warp_stats = 0;    // [warps, kHeadTile, 2]
    int warp_keys = 0;     // [warps] int
    int picks = 0;         // [n] int
    int logits = 0;        // [heads of this rank, 4] gate, before its sigmoid
    int gate_weights = 0;  // [heads of this rank, 3, gate_hidden]
    int merged = 0;        // [heads of this rank, 2, dv] outputs of cmp and win
    int out_weights = 0;   // [dim / ranks, H dv] rows of the output projection
    int inbox = 0;         // [inbox_size] or nothing
    int own_scores = 0;    // [compressed tokens of this rank, kHeadTile]
    int importance = 0;    // [blocks] bits of the importance, as int
    int places = 0;        // [blocks] int, how many blocks rank before this one
    int shared_size = 0;
};

namespace step {

class Cursor {
  public:
    constexpr explicit Cursor(int begin = 0) : next_(begin) {}
    constexpr int take(int floats) {
        const int begin = next_;
        next_ += (floats + 3) / 4 * 4;
        return begin;
    }
    [[nodiscard]] constexpr int end() const { return next_; }

  private:
    int next_;
};

constexpr void lay_out_inbox(const StepShape& s, bool own_inbox, StepLayout& at) {
    Cursor group;
    at.q = group.take(at.heads_per_group * s.dk);
    for (int branch = 0; branch < 3; ++branch) {
        at.fresh_k[branch] = group.take(s.dk);
        at.fresh_v[branch] = group.take(s.dv);
    }
    at.stats = group.take(at.splits * at.head_slots * 2);
    at.partials = group.take(at.heads_per_group * 3 * at.splits * (4 + s.dv));
    const int groups = own_inbox ? 1 : s.groups;
    at.group_stride = own_inbox ? 0 : group.end();

    Cursor common{groups * group.end()};
    at.hidden = common.take(s.gate_hidden);
    at.mixed = common.take(s.heads * s.dv);
    const int scores = s.max_compressed() * at.head_slots;
    at.scores_stride = own_inbox ? 0 : scores;
    at.scores = common.take(groups * scores);
    at.inbox_size = common.end();
}

constexpr void lay_out_shared(const StepShape& s, bool own_inbox, StepLayout& at) {
    Cursor own;
    at.warp_out = own.take(kStepWarps * kHeadTile * s.dv);
    at.warp_stats = own.take(kStepWarps * kHeadTile * 2);
    at.warp_keys = own.take(kStepWarps);
    at.picks = own.take(s.n);
    at.logits = own.take(at.owned_heads * 4);
    at.gate_weights = own.take(at.owned_heads * 3 * s.gate_hidden);
    at.merged = own.take(at.owned_heads * 2 * s.dv);
    at.out_weights = own.take(s.dim / at.ranks * s.heads * s.dv);
    at.inbox = own.take(own_inbox ? at.inbox_size : 0);
    at.own_scores = own.take((s.max_compressed() + at.splits - 1) / at.splits * kHeadTile);
    at.importance = own.take(s.max_blocks());
    at.places = own.take(s.max_blocks());
    at.shared_size = own.end();
}

}  // namespace step

/// `own_inbox`: every rank has an inbox, in its shared memory; else one serves all, in global memory.
[[nodiscard]] constexpr StepLayout layout_step(const StepShape& shape, int ranks, bool own_inbox) {
    StepLayout at;
    at.ranks = ranks;
    at.splits = ranks / shape.groups;
    at.heads_per_group = shape.heads / shape.groups;
    at.head_slots = (at.heads_per_group + kHeadTile - 1) / kHeadTile * kHeadTile;
    at.owned_heads = (at.heads_per_group + at.splits - 1) / at.splits;
    step::lay_out_inbox(shape, own_inbox, at);
    step::lay_out_shared(shape, own_inbox, at);
    return at;
}

}  // namespace nsa::core::cuda
