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

template <class Me>
__device__ __forceinline__ KeyRows rows_of_group(const Me& me, const StepRows& rows, int branch, int fresh) {
    return {.k = rows.k + me.group * rows.group_stride_k,
            .v = rows.v + me.group * rows.group_stride_v,
            .fresh = fresh,
            .fresh_k = me.inbox(me.at().fresh_k[branch]),
            .fresh_v = me.inbox(me.at().fresh_v[branch])};
}

// Stage 2 for one warp: its branch, and its share of the keys.
struct EarlyBranch {
    int branch;  // 0 compressed, 2 window
    int warp;    // within the branch
    KeyRows rows;
    Consecutive row_of;
    Share share;
    Share compressed;  // of this rank

    template <class Me>
    __device__ __forceinline__ EarlyBranch(const Me& me, const Position& now) {
        const bool window = me.warp < kHalfWarps;
        branch = window ? 2 : 0;
        warp = me.warp % kHalfWarps;
        const int fresh_cmp = now.emits ? now.compressed - 1 : -1;
        rows = window ? rows_of_group(me, me.p.win, 2, now.t) : rows_of_group(me, me.p.cmp, 0, fresh_cmp);
        row_of.first = window ? now.window_first : 0;
        compressed = share_of(now.compressed, me.split, me.at().splits);
        share = window ? share_of(now.t + 1 - now.window_first, me.split, me.at().splits) : compressed;
    }
};

template <class Me, class Team>
__device__ __forceinline__ void attend_early(const Me& me, Team& team, const EarlyBranch& early,
                                             KeyTile<Me::kWidth>& tile) {
    using Shape = WarpShape<Me::kWidth>;
    for (int head = 0; head < me.heads(); head += kHeadTile) {
        if (head > 0) __syncthreads();
        Attention<Me> attention{me, team, head};
        float* own_scores =
            me.floats(me.at().own_scores) - early.share.begin * kHeadTile + me.lane % kHeadTile;
        const bool keeps_scores = early.branch == 0 && me.lane % Shape::kLanes < kHeadTile;
        attention.template run<kHalfWarps>(me, team, early.rows, early.row_of, early.share, early.warp, tile,
                                           head == 0, [&](int i, float score) {
                                               if (keeps_scores) own_scores[i * kHeadTile] = score;
                                           });
        attention.store(me, me.warp);
        __syncthreads();
        push_scores(me, team, head, early.compressed);
        push_partials<kHalfWarps, kStepThreads / 2>(me, team, early.branch, head, me.warp - early.warp,
                                                    static_cast<int>(threadIdx.x) % (kStepThreads / 2));
    }
}

template <class Me, class Team>
__device__ __forceinline__ void attend_selected(const Me& me, Team& team, const Position& now) {
    const StepShape s = me.shape();
    const KeyRows rows = rows_of_group(me, me.p.sel, 1, now.t);
    const FromBlocks row_of{.picks = me.ints(me.at().picks), .l_sel = s.l_sel};
    // The query's own block is always picked, is the last, and holds only the tokens up to t.
    const int keys = (min(s.n, now.blocks) - 1) * s.l_sel + now.t - (now.blocks - 1) * s.l_sel + 1;
    const Share share = share_of(keys, me.split, me.at().splits);
    for (int head = 0; head < me.heads(); head += kHeadTile) {
        if (head > 0) __syncthreads();
        KeyTile<Me::kWidth> tile;
        Attention<Me> attention{me, team, head};
        attention.template run<kStepWarps>(me, team, rows, row_of, share, me.warp, tile, false,
                                           [](int, float) {});
        attention.store(me, me.warp);
        __syncthreads();
        push_partials<kStepWarps, kStepThreads>(me, team, 1, head, 0, static_cast<int>(threadIdx.x));
    }
}

template <class Me>
__device__ __forceinline__ void report_blocks(const Me& me, const Position& now) {
    if (me.p.blocks == nullptr || me.split != 0) return;
    const int n = me.shape().n;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += kStepThreads)
        me.p.blocks[me.group * n + i] = i < now.blocks ? me.ints(me.at().picks)[i] : -1;
}

// A length that the caches do not hold is a fault of the caller; it must not pass for a result.
template <class Me>
__device__ __forceinline__ void refuse(const Me& me) {
    const int rows = me.shape().dim / me.at().ranks;
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

template <class Me>
__device__ __forceinline__ void mark(const Me& me, Mark mark) {
    if (me.p.clocks == nullptr || me.rank != 0 || threadIdx.x != 0) return;
    me.p.clocks[static_cast<int>(mark)] = clock64();
}

template <class Me, class Team>
__device__ __forceinline__ void run_step(const Me& me, Team& team) {
    mark(me, Mark::kBegin);
    team.begin();
    const int t = *me.p.length;
    Projection<Me> projection;
    projection.begin(me);
    prefetch_weights(me);
    const bool valid = t >= 0 && t < me.shape().capacity;
    const Position now{valid ? static_cast<unsigned>(t) : 0U, me.shape()};
    const EarlyBranch early{me, now};
    KeyTile<Me::kWidth> tile;
    tile.load(early.rows, early.row_of, early.share.begin + early.warp * WarpShape<Me::kWidth>::kTile,
              early.share.end, me.lane);
    projection.prefetch(me, now);
    mark(me, Mark::kLoadsSent);
    team.enter();
    if (!valid) {
        wait_copies<0>();
        return refuse(me);
    }
    projection.finish(me, team, now);
    wait_copies<0>();
    mark(me, Mark::kProjected);
    team.arrive();
    projection.store(me, now);
    team.wait();
    mark(me, Mark::kMet1);

    attend_early(me, team, early, tile);
    mark(me, Mark::kAttended);
    team.arrive();
    gate_logits(me, team);
    team.wait();
    mark(me, Mark::kMet2);

    select_blocks(me, team, now);
    mark(me, Mark::kSelected);
    attend_selected(me, team, now);
    mark(me, Mark::kAttendedSelected);
    team.arrive();
    // Of this rank only, so that the barrier's own time hides it; the rank's threads meet on it.
    merge_early(me, team);
    __syncthreads();
    team.wait();
    mark(me, Mark::kMet3);

    mix(me, team);
    mark(me, Mark::kMixed);
    team.arrive();
    report_reads(me, team);
    report_blocks(me, now);
    team.wait();
    mark(me, Mark::kMet4);

    project_out(me, team);
    if (me.p.advance && me.rank == 0 && threadIdx.x == 0) *me.p.length = t + 1;
    mark(me, Mark::kEnd);
}

}  // namespace nsa::core::cuda::step
