// One decode step of the whole layer. Five stages with a barrier of all ranks between them:
//   1 project   queries, rows of this token, compressed token, gate's hidden layer
//   2 attend    compressed tokens (their scores go to the whole group) and window
//   3 select    blocks from the scores, then attention over them
//   4 mix       owners merge their heads' partial outputs and gate them
//   5 project   the output
// Whatever does not depend on the stage before is read from memory ahead of the barrier.
#pragma once

#include "nsa_core/cuda/step/attend.cuh"
#include "nsa_core/cuda/step/combine.cuh"
#include "nsa_core/cuda/step/project.cuh"
#include "nsa_core/cuda/step/select.cuh"

namespace nsa::core::cuda::step {

inline constexpr int kHalfWarps = kStepWarps / 2;  // on each of window and compressed tokens in stage 2

__device__ __forceinline__ KeyRows rows_of_group(const Context& me, const StepRows& rows, int branch,
                                                 int fresh) {
    return {.k = rows.k + me.group * rows.group_stride_k,
            .v = rows.v + me.group * rows.group_stride_v,
            .fresh = fresh,
            .fresh_k = me.inbox(me.at.fresh_k[branch]),
            .fresh_v = me.inbox(me.at.fresh_v[branch])};
}

// Stage 2 for one warp: its branch, and its share of the keys.
struct EarlyBranch {
    int branch;  // 0 compressed, 2 window
    int warp;    // within the branch
    KeyRows rows;
    Consecutive row_of;
    Share share;

    __device__ __forceinline__ EarlyBranch(const Context& me, const Position& now) {
        const bool window = me.warp < kHalfWarps;
        branch = window ? 2 : 0;
        warp = me.warp % kHalfWarps;
        const int fresh_cmp = now.emits ? now.compressed - 1 : -1;
        rows = window ? rows_of_group(me, me.p.win, 2, now.t) : rows_of_group(me, me.p.cmp, 0, fresh_cmp);
        row_of.first = window ? now.window_first : 0;
        const int keys = window ? now.t + 1 - now.window_first : now.compressed;
        share = share_of(keys, me.split, me.at.splits, kHalfWarps);
    }
};

template <int kWidth, class Team>
__device__ __forceinline__ void attend_early(const Context& me, Team& team, const EarlyBranch& early,
                                             KeyTile<kWidth>& tile) {
    using Shape = WarpShape<kWidth>;
    const int first = early.share.begin + early.warp * Shape::kTile;
    for (int head = 0; head < me.heads(); head += kHeadTile) {
        if (head > 0) {
            __syncthreads();
            tile.load(early.rows, early.row_of, first, early.share.end, me.lane);
        }
        Attention<kWidth> attention{me, team, head};
        attention.run(
            me, team, early.rows, early.row_of, early.share, early.warp, tile, [&](int i, float score) {
                if (early.branch != 0) return;
                const int at = me.inbox(me.at.scores) + i * me.at.head_slots + head + me.lane % kHeadTile;
                team.share(me.first_rank(me.group), me.at.splits, me.lane % Shape::kLanes / kHeadTile,
                           Shape::kLanes / kHeadTile, at, score);
            });
        attention.store(me, me.warp);
        __syncthreads();
        push_partials<kWidth>(me, team, early.branch, head, me.warp - early.warp, kHalfWarps,
                              static_cast<int>(threadIdx.x) % (kStepThreads / 2), kStepThreads / 2);
    }
}

template <int kWidth, class Team>
__device__ __forceinline__ void attend_selected(const Context& me, Team& team, const Position& now) {
    using Shape = WarpShape<kWidth>;
    const StepShape& s = me.shape();
    const KeyRows rows = rows_of_group(me, me.p.sel, 1, now.t);
    const FromBlocks row_of{.picks = me.ints(me.at.picks), .l_sel = s.l_sel};
    // The query's own block is always picked, is the last, and holds only the tokens up to t.
    const int keys = (min(s.n, now.blocks) - 1) * s.l_sel + now.t % s.l_sel + 1;
    const Share share = share_of(keys, me.split, me.at.splits, kStepWarps);
    for (int head = 0; head < me.heads(); head += kHeadTile) {
        if (head > 0) __syncthreads();
        KeyTile<kWidth> tile;
        tile.load(rows, row_of, share.begin + me.warp * Shape::kTile, share.end, me.lane);
        Attention<kWidth> attention{me, team, head};
        attention.run(me, team, rows, row_of, share, me.warp, tile, [](int, float) {});
        attention.store(me, me.warp);
        __syncthreads();
        push_partials<kWidth>(me, team, 1, head, 0, kStepWarps, static_cast<int>(threadIdx.x), kStepThreads);
    }
}

__device__ __forceinline__ void report_blocks(const Context& me, const Position& now) {
    if (me.p.blocks == nullptr || me.split != 0) return;
    const int n = me.shape().n;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += kStepThreads)
        me.p.blocks[me.group * n + i] = i < now.blocks ? me.ints(me.at.picks)[i] : -1;
}

// A length that the caches do not hold is a fault of the caller; it must not pass for a result.
__device__ __forceinline__ void refuse(const Context& me) {
    const int rows = me.shape().dim / me.at.ranks;
    for (int i = static_cast<int>(threadIdx.x); i < rows; i += kStepThreads)
        me.p.out[me.rank * rows + i] = __int_as_float(0x7FC00000);
}

// Processor clock at a point of the step, where the time of one goes.
enum class Mark : int {
    kBegin,
    kLoadsSent,
    kProjected,
    kMet1,
    kAttended,
    kMet2,
    kSelected,
    kAttendedSelected,
    kMet3,
    kMixed,
    kMet4,
    kEnd
};
static_assert(static_cast<int>(Mark::kEnd) + 1 == kStepClocks);

__device__ __forceinline__ void mark(const Context& me, Mark mark) {
    if (me.p.clocks == nullptr || me.rank != 0 || threadIdx.x != 0) return;
    me.p.clocks[static_cast<int>(mark)] = clock64();
}

template <int kWidth, class Team>
__device__ __forceinline__ void run_step(const Context& me, Team& team) {
    mark(me, Mark::kBegin);
    team.begin();
    Projection<kWidth> projection;
    projection.begin(me);
    prefetch_out_weights(me);
    const int t = *me.p.length;
    const bool valid = t >= 0 && t < me.shape().capacity;
    const Position now{valid ? t : 0, me.shape()};
    const EarlyBranch early{me, now};
    KeyTile<kWidth> tile;
    tile.load(early.rows, early.row_of, early.share.begin + early.warp * WarpShape<kWidth>::kTile,
              early.share.end, me.lane);
    mark(me, Mark::kLoadsSent);
    team.enter();
    if (!valid) {
        wait_copies<0>();
        return refuse(me);
    }
    projection.finish(me, team, now);
    mark(me, Mark::kProjected);
    team.arrive();
    team.wait();
    mark(me, Mark::kMet1);

    attend_early<kWidth>(me, team, early, tile);
    gate_logits(me, team);
    mark(me, Mark::kAttended);
    team.arrive();
    team.wait();
    mark(me, Mark::kMet2);

    select_blocks(me, team, now);
    mark(me, Mark::kSelected);
    attend_selected<kWidth>(me, team, now);
    mark(me, Mark::kAttendedSelected);
    team.arrive();
    // Of this rank only, so that the barrier's own time hides it; the rank's threads meet on it.
    merge_early<kWidth>(me, team);
    report_blocks(me, now);
    wait_copies<0>();
    __syncthreads();
    team.wait();
    mark(me, Mark::kMet3);

    mix<kWidth>(me, team);
    report_reads(me, team);
    mark(me, Mark::kMixed);
    team.arrive();
    team.wait();
    mark(me, Mark::kMet4);

    project_out(me, team);
    if (me.p.advance && me.rank == 0 && threadIdx.x == 0) *me.p.length = t + 1;
    mark(me, Mark::kEnd);
}

}  // namespace nsa::core::cuda::step
