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
#if __CUDA_ARCH__ >= 900
        asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");  // nothing was written yet
#endif
    }
    __device__ __forceinline__ void enter() {
        wait();
    }
    __device__ __forceinline__ void arrive() {
#if __CUDA_ARCH__ >= 900
        asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
    }
    __device__ __forceinline__ void wait() {
#if __CUDA_ARCH__ >= 900
        asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
    }
    static __device__ __forceinline__ int copies(int count) {
        return count;
    }
    __device__ __forceinline__ void push(int rank, int at, float x) {
#if __CUDA_ARCH__ >= 900
        asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(address_in(rank, at)), "f"(x) : "memory");
#endif
    }
    __device__ __forceinline__ void push(int rank, int at, float4 x) {
#if __CUDA_ARCH__ >= 900
        asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address_in(rank, at)),
                     "f"(x.x), "f"(x.y), "f"(x.z), "f"(x.w)
                     : "memory");
#endif
    }
    __device__ __forceinline__ float load(int at) const {
        return inbox_[at];
    }
    __device__ __forceinline__ float4 load4(int at) const {
        return *reinterpret_cast<const float4*>(inbox_ + at);
    }

  private:
    __device__ __forceinline__ std::uint32_t address_in(int rank, int at) const {
        std::uint32_t mapped = 0;
#if __CUDA_ARCH__ >= 900
        asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address_ + 4 * at), "r"(rank));
#endif
        return mapped;
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
    static __device__ __forceinline__ unsigned load_acquire(const unsigned* pointer) {
        unsigned value;
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(pointer) : "memory");
        return value;
    }

    unsigned* arrivals_;
    float* inbox_;
    unsigned target_ = 0;
};

}  // namespace nsa::core::cuda::step
