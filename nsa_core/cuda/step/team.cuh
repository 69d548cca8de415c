// The ranks of a step: how they meet and how a value reaches the inbox of another. Two teams with one
// interface:
//   begin()               first of all
//   enter()               before the first push: every rank now runs
//   arrive(), wait()      together a barrier of all threads of all ranks; what was pushed before arrive() can
//   be
//                         loaded after wait(). Between the two a thread may compute, but neither push nor
//                         load news.
//   push(rank, at, x)     x into one rank's inbox
//   share(first, count, part, parts, at, x)  x into the inboxes of `count` ranks from `first` on; `parts`
//   threads,
//                         which hold the same x, call it together
//   load(at), load4(at)   from the own inbox
#pragma once

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda::step {

// Thread blocks of one cluster; the inbox is shared memory, pushed to directly.
class ClusterTeam {
  public:
    static constexpr bool kOwnInbox = true;

    __device__ ClusterTeam(float* shared_inbox, void* /*workspace*/) : inbox_(shared_inbox) {}

    __device__ int rank() const { return cluster_rank(); }
    __device__ void begin() { arrive(); }
    __device__ void enter() { wait(); }
    __device__ void arrive() {
#if __CUDA_ARCH__ >= 900
        asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
    }
    __device__ void wait() {
#if __CUDA_ARCH__ >= 900
        asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
    }
    __device__ void push(int rank, int at, float x) {
        *cluster_map(inbox_ + at, rank) = x;
    }
    __device__ void share(int first, int count, int part, int parts, int at, float x) {
        for (int i = part; i < count; i += parts)
            push(first + i, at, x);
    }
    __device__ float load(int at) const {
        return inbox_[at];
    }
    __device__ float4 load4(int at) const {
        return *reinterpret_cast<const float4*>(inbox_ + at);
    }

  private:
    float* inbox_;
};

// Thread blocks of a cooperative launch; one inbox for all, in global memory, read through the L2.
class GridTeam {
  public:
    static constexpr bool kOwnInbox = false;

    __device__ GridTeam(float* /*shared_inbox*/, void* workspace)
        : arrivals_(static_cast<unsigned*>(workspace)),
          inbox_(reinterpret_cast<float*>(static_cast<char*>(workspace) + kInboxOffset)) {}

    __device__ int rank() const { return static_cast<int>(blockIdx.x); }
    __device__ void begin() {}
    __device__ void enter() {}
    __device__ void arrive() {
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            // The counter is never reset: the number of ranks, a power of two, divides its range.
            const unsigned before = atomicAdd(arrivals_, 1U);
            target_ = before - before % gridDim.x + gridDim.x;
        }
    }
    __device__ void wait() {
        if (threadIdx.x == 0) {
            while (static_cast<int>(load_acquire(arrivals_) - target_) < 0) {
            }
        }
        __syncthreads();
    }
    __device__ void push(int /*rank*/, int at, float x) { __stcg(inbox_ + at, x); }
    __device__ void share(int first, int /*count*/, int part, int /*parts*/, int at, float x) {
        if (part == 0) push(first, at, x);
    }
    __device__ float load(int at) const { return __ldcg(inbox_ + at); }
    __device__ float4 load4(int at) const { return __ldcg(reinterpret_cast<const float4*>(inbox_ + at)); }

    static constexpr int kInboxOffset = 256;  // bytes: the counter has cache lines of its own

  private:
    static __device__ unsigned load_acquire(const unsigned* pointer) {
        unsigned value;
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(pointer) : "memory");
        return value;
    }

    unsigned* arrivals_;
    float* inbox_;
    unsigned target_ = 0;
};

}  // namespace nsa::core::cuda::step
