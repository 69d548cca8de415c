// A ring of stages in shared memory between the warps that copy and those that compute.
#pragma once

#include "nsa_core/cuda/primitives.cuh"
#include "nsa_core/cuda/warpgroup.cuh"

namespace nsa::core::cuda {

/// kEveryLane: every lane of a consumer's warp lets go of a stage itself, not lane 0 for the warp. For stages
/// into which threads store: each reader's own arrival orders its reads ahead of the next store.
template <int kStages, bool kEveryLane = false>
struct StageBarriers {
    static constexpr int kArrivals = kEveryLane ? kWarpSize : 1;  // of a consumer's warp
    std::uint64_t full[kStages];
    std::uint64_t empty[kStages];

    /// By one thread, ahead of a barrier of the thread block. `arrivals` make a stage full: one of each
    /// producer thread, and one of each that has stored().
    __device__ __forceinline__ void init(int arrivals, int consumer_warps) {
        for (int stage = 0; stage < kStages; ++stage) {
            barrier_init(&full[stage], arrivals);
            barrier_init(&empty[stage], kArrivals * consumer_warps);
        }
    }
};

/// One side's place in the ring: every thread has its own, and both sides take the stages in the same order.
template <int kStages, bool kEveryLane = false>
class StageRing {
  public:
    using Barriers = StageBarriers<kStages, kEveryLane>;
    __device__ StageRing(Barriers& barriers, std::uint32_t first, int stage_bytes)
        : barriers_{barriers}, first_{first}, stage_bytes_{stage_bytes} {}

    [[nodiscard]] __device__ __forceinline__ std::uint32_t address(int stage) const {
        return first_ + static_cast<std::uint32_t>(stage * stage_bytes_);
    }

    /// A producer thread: fill(address) starts its copies into the next stage, once that is empty.
    template <class Fill>
    __device__ __forceinline__ void produce(Fill fill) {
        fill(address(claim()));
        hand_over();
    }
    /// The same in parts. The next stage, empty:
    [[nodiscard]] __device__ __forceinline__ int claim() {
        barrier_wait(&barriers_.empty[next_], lap_ ^ 1U);  // before the first lap all are
        return next_;
    }
    /// a thread has stored into it what it does not copy;
    __device__ __forceinline__ void stored() { barrier_arrive(&barriers_.full[next_]); }
    /// and its copies are on their way.
    __device__ __forceinline__ void hand_over() {
        barrier_arrive_after_copies(&barriers_.full[next_]);
        advance();
    }

    /// A consumer: the next stage, full and visible to products.
    [[nodiscard]] __device__ __forceinline__ int acquire() {
        const int stage = next_;
        barrier_wait(&barriers_.full[stage], lap_);
        fence_async_proxy();
        advance();
        return stage;
    }
    /// The next stage is another consumer's.
    __device__ __forceinline__ void skip() { advance(); }
    /// The warp does not need it any more.
    __device__ __forceinline__ void release(int stage) {
        if constexpr (!kEveryLane) __syncwarp();
        if (kEveryLane || lane_index() == 0) barrier_arrive(&barriers_.empty[stage]);
    }

  private:
    __device__ __forceinline__ void advance() {
        if (++next_ == kStages) {
            next_ = 0;
            lap_ ^= 1U;
        }
    }

    Barriers& barriers_;
    std::uint32_t first_;
    int stage_bytes_;
    int next_ = 0;
    unsigned lap_ = 0;  // its parity
};

}  // namespace nsa::core::cuda
