// The other file with PTX: what a warpgroup, 4 warps whose first has a number divisible by 4, does together
// on sm_90a. Only sources that are compiled for that chip alone include it. tests/emulator has the same
// functions.
//
// Products are asynchronous. The order that the hardware asks for:
//   barrier_wait(full); fence_async_proxy();  // tiles that were copied or stored by threads are visible
//   warpgroup_fence(c);                       // c, and left operands in registers, are as written
//   warpgroup_mma(c, ...); ...                // one after the other into the same c
//   warpgroup_commit();                       // a group
//   warpgroup_wait<0>(c);                     // c may be read, operands overwritten
// Nothing of c, nor of a left operand in registers, may be touched in between.
#pragma once

#include "nsa_core/cuda/ptx.cuh"

namespace nsa::core::cuda {

// Values that asynchronous instructions read and write in place: the compiler moves no use of them across.
__device__ __forceinline__ void pin(float& x) {
    asm volatile("" : "+f"(x)::"memory");
}
__device__ __forceinline__ void pin(std::uint32_t& x) {
    asm volatile("" : "+r"(x)::"memory");
}
template <class T, int kCount>
__device__ __forceinline__ void pin(T (&array)[kCount]) {
#pragma unroll
    for (T& x : array)
        pin(x);
}

/// Before the first product of a group: the registers that it takes, accumulators and left operands.
template <class... Registers>
__device__ __forceinline__ void warpgroup_fence(Registers&... registers) {
    (pin(registers), ...);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void warpgroup_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Until at most kPending of the latest groups are under way. `registers`: those that are free to use again.
template <int kPending, class... Registers>
__device__ __forceinline__ void warpgroup_wait(Registers&... registers) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
    (pin(registers), ...);
}
/// What threads wrote to shared memory, and this one has seen through a barrier, or wrote itself, is what its
/// products read from now on. On the path of causality: by the reader behind the barrier, or by the writer
/// before.
__device__ __forceinline__ void fence_async_proxy() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Registers of each thread, multiples of 8, for all warps of a warpgroup: more, or fewer.
template <int kRegisters>
__device__ __forceinline__ void claim_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void release_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// Barrier `id`, 1 to 15, of `threads` threads, whole warps.
__device__ __forceinline__ void group_sync(int id, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// The instruction has its accumulators, N/2 a thread, in its text and as operands.
#define NSA_SUMS_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define NSA_SUMS_24 \
    NSA_SUMS_16     \
    ", %16, %17, %18, %19, %20, %21, %22, %23"
#define NSA_SUMS_32 \
    NSA_SUMS_24     \
    ", %24, %25, %26, %27, %28, %29, %30, %31"
#define NSA_SUMS_48 \
    NSA_SUMS_32     \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define NSA_SUMS_56 \
    NSA_SUMS_48     \
    ", %48, %49, %50, %51, %52, %53, %54, %55"
#define NSA_SUMS_64 \
    NSA_SUMS_56     \
    ", %56, %57, %58, %59, %60, %61, %62, %63"
#define NSA_SUMS_96                                                                    \
    NSA_SUMS_64                                                                        \
    ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
    ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define NSA_TILE(n) "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])
#define NSA_TILES(n) NSA_TILE(n), NSA_TILE(n + 1), NSA_TILE(n + 2), NSA_TILE(n + 3)
#define NSA_TILES_4 NSA_TILES(0)
#define NSA_TILES_6 NSA_TILES_4, NSA_TILE(4), NSA_TILE(5)
#define NSA_TILES_8 NSA_TILES_4, NSA_TILES(4)
#define NSA_TILES_12 NSA_TILES_8, NSA_TILES(8)
#define NSA_TILES_14 NSA_TILES_12, NSA_TILE(12), NSA_TILE(13)
#define NSA_TILES_16 NSA_TILES_12, NSA_TILES(12)
#define NSA_TILES_24 NSA_TILES_16, NSA_TILES(16), NSA_TILES(20)

// Operands behind the accumulators: right operand (whose number is that of the accumulators), scale,
// transpose, left operand. `left`: its text; `major`: of its majorness, which one in registers does not have.
#define NSA_WGMMA(n, type, tiles, sums, scale, transpose, left, major, ...)                                \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #scale ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n  \
                 "k16.f32." type "." type " {" NSA_SUMS_##sums "}, " left ", %" #sums ", p, 1, 1, " major  \
                                                               "%" #transpose ";\n}"                       \
                 : NSA_TILES_##tiles                                                                       \
                 : "l"(b), "r"(static_cast<int>(scale_d)), "n"(static_cast<int>(kTransposeB)), __VA_ARGS__ \
                 : "memory")

template <class T, int kN>
struct WarpgroupMma;

#define NSA_WARPGROUP_MMA_OF(T, type, n, tiles, sums, scale, transpose, a0, a1, a2, a3)                    \
    template <>                                                                                            \
    struct WarpgroupMma<T, n> {                                                                            \
        template <bool kTransposeB>                                                                        \
        __device__ static __forceinline__ void run(float (&c)[n / 8][4], std::uint64_t a, std::uint64_t b, \
                                                   bool scale_d) {                                         \
            NSA_WGMMA(n, type, tiles, sums, scale, transpose, "%" #a0, "0, ", "l"(a));                     \
        }                                                                                                  \
        template <bool kTransposeB>                                                                        \
        __device__ static __forceinline__ void run(float (&c)[n / 8][4], const std::uint32_t (&a)[4],      \
                                                   std::uint64_t b, bool scale_d) {                        \
            NSA_WGMMA(n, type, tiles, sums, scale, transpose, "{%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}",  \
                      "", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]));                                     \
        }                                                                                                  \
    };
#define NSA_WARPGROUP_MMA(...)                               \
    NSA_WARPGROUP_MMA_OF(__nv_bfloat16, "bf16", __VA_ARGS__) \
    NSA_WARPGROUP_MMA_OF(__half, "f16", __VA_ARGS__)

NSA_WARPGROUP_MMA(32, 4, 16, 17, 18, 19, 20, 21, 22)
NSA_WARPGROUP_MMA(48, 6, 24, 25, 26, 27, 28, 29, 30)
NSA_WARPGROUP_MMA(64, 8, 32, 33, 34, 35, 36, 37, 38)
NSA_WARPGROUP_MMA(96, 12, 48, 49, 50, 51, 52, 53, 54)
NSA_WARPGROUP_MMA(112, 14, 56, 57, 58, 59, 60, 61, 62)
NSA_WARPGROUP_MMA(128, 16, 64, 65, 66, 67, 68, 69, 70)
NSA_WARPGROUP_MMA(192, 24, 96, 97, 98, 99, 100, 101, 102)

/// c[64 x kN] (+)= a[64 x 16] b[16 x kN], kN one of the above; T is __nv_bfloat16 or __half. Warp w of the
/// warpgroup holds rows 16 w of c, in the lane layout of `mma`, tile by tile of 8 columns. `scale_d` false: c
/// is not read. a: a K-major descriptor, or the warp's 16 rows in registers as `mma` takes them. b: a
/// descriptor, K-major (rows of n), or MN-major (rows of k) when kTransposeB.
template <class T, int kN, bool kTransposeB>
__device__ __forceinline__ void warpgroup_mma(float (&c)[kN / 8][4], std::uint64_t a, std::uint64_t b,
                                              bool scale_d = true) {
    WarpgroupMma<T, kN>::template run<kTransposeB>(c, a, b, scale_d);
}
template <class T, int kN, bool kTransposeB>
__device__ __forceinline__ void warpgroup_mma(float (&c)[kN / 8][4], const std::uint32_t (&a)[4],
                                              std::uint64_t b, bool scale_d = true) {
    WarpgroupMma<T, kN>::template run<kTransposeB>(c, a, b, scale_d);
}

}  // namespace nsa::core::cuda
