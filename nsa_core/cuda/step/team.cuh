// The ranks of a step: how they meet and how a value reaches the inbox of another. Two teams with one
// interface:
//   begin()            first of all
//   enter()            before the first push: every rank now runs
//   arrive(), wait()   together a barrier of all threads of all ranks; what was pushed before arrive() can be
//   loaded
//                      after wait(). Between the two a thread may compute, but neither push nor load news.
//   copies(count)      inboxes to push to so that `count` ranks see a value: theirs, or the one of all
//   push(rank, at, x)  x, a float or float4, into one rank's inbox
//   load(at), load4(at)  from the own inbox
#pragma once

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda::step {

// Thread blocks of one cluster; the inbox is shared memory, pushed to directly.
class ClusterTeam {
  public:
    __device__ __forceinline__ ClusterTeam(float* shared_inbox, void* /*workspace*/)
        : inbox_(shared_inbox), address_(shared_address(shared_inbox)) {}

    __device__ __forceinline__ int rank() const { return cluster_rank(); }
    __device__ __forceinline__ void begin() {
        cluster_arrive_relaxed();  // nothing was written yet
    }
    __device__ __forceinline__ void enter() { wait(); }
    __device__ __forceinline__ void arrive() { cluster_arrive(); }
    __device__ __forceinline__ void wait() { cluster_wait(); }
    static __device__ __forceinline__ int copies(int count) { return count; }
    __device__ __forceinline__ void push(int rank, int at, float x) {
        store_cluster(address_in(rank, at), x);
    }
    __device__ __forceinline__ void push(int rank, int at, float4 x) {
        store_cluster(address_in(rank, at), x);
    }
    __device__ __forceinline__ float load(int at) const { return inbox_[at]; }
    __device__ __forceinline__ float4 load4(int at) const {
        return *reinterpret_cast<const float4*>(inbox_ + at);
    }

  private:
    __device__ __forceinline__ std::uint32_t address_in(int rank, int at) const {
        return cluster_address(address_ + 4 * static_cast<std::uint32_t>(at), rank);
    }

    float* inbox_;
    std::uint32_t address_;  // of the inbox in the shared window
};

// Thread blocks of a cooperative launch; one inbox for all, in global memory, read through the L2.
class GridTeam {
  public:
    static constexpr int kInboxOffset = 256;  // bytes: the counter has cache lines of its own

    __device__ __forceinline__ GridTeam(float* /*shared_inbox*/, void* workspace)
        : arrivals_(static_cast<unsigned*>(workspace)),
          inbox_(reinterpret_cast<float*>(static_cast<char*>(workspace) + kInboxOffset)) {}

    __device__ __forceinline__ int rank() const { return static_cast<int>(blockIdx.x); }
    __device__ __forceinline__ void begin() {}
    __device__ __forceinline__ void enter() {}
    __device__ __forceinline__ void arrive() {
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            // The counter is never reset: the number of ranks, a power of two, divides its range.
            const unsigned before = atomicAdd(arrivals_, 1U);
            target_ = (before & ~(gridDim.x - 1)) + gridDim.x;
        }
    }
    __device__ __forceinline__ void wait() {
        if (threadIdx.x == 0) {
            while (static_cast<int>(load_acquire(arrivals_) - target_) < 0) {
            }
        }
        __syncthreads();
    }
    static __device__ __forceinline__ int copies(int /*count*/) { return 1; }
    __device__ __forceinline__ void push(int /*rank*/, int at, float x) { __stcg(inbox_ + at, x); }
    __device__ __forceinline__ void push(int /*rank*/, int at, float4 x) {
        __stcg(reinterpret_cast<float4*>(inbox_ + at), x);
    }
    __device__ __forceinline__ float load(int at) const { return __ldcg(inbox_ + at); }
    __device__ __forceinline__ float4 load4(int at) const {
        return __ldcg(reinterpret_cast<const float4*>(inbox_ + at));
    }

  private:
    unsigned* arrivals_;
    float* inbox_;
    unsigned target_ = 0;
};

}  // namespace nsa::core::cuda::step
