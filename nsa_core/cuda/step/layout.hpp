// Where the ranks of a step find what they hand one another, and each its own scratch. Offsets in floats, all
// multiples of 4, so that every array can be read 16 bytes at a time.
#pragma once

#include "nsa_core/cuda/step/params.hpp"

namespace nsa::core::cuda {

inline constexpr int kStepWarps = 8;  // of a rank
inline constexpr int kStepThreads = 32 * kStepWarps;
inline constexpr int kHeadTile = 4;  // heads of a group that share one pass over the keys

/// A rank is one thread block. Rank r works for group r / splits, on share r % splits of its keys.
struct StepLayout {
    int ranks = 0;
    int splits = 0;       // ranks of a group
    int head_slots = 0;   // heads of a group, rounded up to whole tiles
    int owned_heads = 0;  // that a rank merges and gates, at most

    // Inbox: written by other ranks, read after the next barrier. A section per group, then what all read.
    int group_stride = 0;  // 0 when a rank's inbox is its own shared memory and holds its group only
    int q = 0;             // [heads per group, dk]
    int fresh_k[3] = {};   // [dk] the rows that this step makes: cmp, sel, win
    int fresh_v[3] = {};   // [dv]
    int scores = 0;        // [compressed tokens, head_slots] in log2 units
    int stats = 0;         // [splits, head_slots, 2] maximum and sum of the compressed scores of a split
    int partials = 0;      // [heads per group, 3, splits, 4 + dv]: maximum, sum, keys, -, unnormalised output
    int hidden = 0;        // [gate_hidden]
    int mixed = 0;         // [H dv]
    int inbox = 0;         // size

    // A rank's own scratch, always in shared memory.
    int warp_out = 0;     // [warps, kHeadTile, dv]
    int warp_stats = 0;   // [warps, kHeadTile, 2]
    int warp_keys = 0;    // [warps] int
    int importance = 0;   // [blocks] bits of the importance, as unsigned
    int places = 0;       // [blocks] int, how many blocks rank before this one
    int picks = 0;        // [n] int
    int logits = 0;       // [heads of this rank, 4] gate, before its sigmoid
    int merged = 0;       // [heads of this rank, 2, dv] outputs of cmp and win
    int out_weights = 0;  // [dim / ranks, H dv] rows of the output projection
    int scratch = 0;      // size

    /// Floats of dynamic shared memory.
    [[nodiscard]] constexpr int shared_floats() const { return scratch + (group_stride == 0 ? inbox : 0); }
};

/// `own_inbox`: every rank has an inbox, in its shared memory; else one serves all.
[[nodiscard]] StepLayout layout_step(const StepShape& shape, int ranks, bool own_inbox);

}  // namespace nsa::core::cuda
