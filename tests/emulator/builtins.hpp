// CUDA's builtin functions that our kernels use. In the global namespace, as there.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <vector_types.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/collectives.hpp"
#include "emulator/error.hpp"

namespace nsa::emulator {

inline constexpr char kSyncWarp[] = "__syncwarp";
inline constexpr char kShuffle[] = "a shuffle";
inline constexpr char kVote[] = "a vote";
inline constexpr char kReduce[] = "__reduce";
inline constexpr char kSyncThreads[] = "__syncthreads";
inline constexpr char kSyncThreadsVote[] = "__syncthreads with a vote";

/// Every lane gets the value of lane source_of(its index).
template <class T, class SourceOf>
T shuffle(std::uint32_t mask, T value, SourceOf source_of) {
    struct Exchange {
        T given;
        T taken;
        int source;
    } mine{value, value, source_of(current->index)};
    if (arrive(kShuffle, mask, &mine)) {
        for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1) {
            Exchange& lane = deposit_of<Exchange>(std::countr_zero(rest));
            if ((mask >> lane.source & 1) == 0)
                fail("a shuffle from lane " + std::to_string(lane.source) + ", which does not take part");
            lane.taken = deposit_of<Exchange>(lane.source).given;
        }
        ++current_gang().counters->shuffles;
        leave(mask);
    }
    may_take_off();
    return mine.taken;
}

/// Every lane gets combine(its values so far, the next lane's) over all lanes of the mask.
template <class T, class Combine>
T reduce(const char* name, std::uint32_t mask, T value, Combine combine) {
    struct Reduction {
        T given;
        T result;
    } mine{value, value};
    if (arrive(name, mask, &mine)) {
        const int first = std::countr_zero(mask);
        T total = deposit_of<Reduction>(first).given;
        for (int i = first + 1; i < kLanes; ++i)
            if ((mask >> i & 1) != 0) total = combine(total, deposit_of<Reduction>(i).given);
        for (int i = first; i < kLanes; ++i)
            if ((mask >> i & 1) != 0) deposit_of<Reduction>(i).result = total;
        leave(mask);
    }
    may_take_off();
    return mine.result;
}

/// An atomic: other warps may come before and after, never in between.
template <class T, class Update>
T atomically(T* at, Update update) {
    may_take_off();
    const T before = *at;
    *at = update(before);
    return before;
}

}  // namespace nsa::emulator

inline void __syncwarp(unsigned mask = nsa::emulator::kAllLanes) {
    nsa::emulator::current->copies.publish();
    nsa::emulator::meet(nsa::emulator::kSyncWarp, mask);
}
inline void __syncthreads() {
    (void)nsa::emulator::block_barrier(nsa::emulator::kSyncThreads, 0);
}
inline int __syncthreads_count(int predicate) {
    return nsa::emulator::block_barrier(nsa::emulator::kSyncThreadsVote, predicate != 0 ? 1 : 0);
}
inline int __syncthreads_or(int predicate) {
    return __syncthreads_count(predicate) > 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate) {
    return __syncthreads_count(predicate == 0 ? 1 : 0) == 0 ? 1 : 0;
}
[[noreturn]] inline void __trap() {
    nsa::emulator::fail("a trap");
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    return nsa::emulator::shuffle(mask, value,
                                  [=](int lane) { return (lane & -width) + (source & (width - 1)); });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int across, int width = 32) {
    return nsa::emulator::shuffle(mask, value, [=](int lane) {
        const int source = lane ^ across;
        return source / width > lane / width ? lane : source;
    });
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    return nsa::emulator::shuffle(mask, value, [=](int lane) {
        const int source = lane - static_cast<int>(delta);
        return source < (lane & -width) ? lane : source;
    });
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    return nsa::emulator::shuffle(mask, value, [=](int lane) {
        const int source = lane + static_cast<int>(delta);
        return source >= (lane & -width) + width ? lane : source;
    });
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
    const unsigned own = predicate != 0 ? nsa::emulator::current->bit() : 0U;
    return nsa::emulator::reduce(nsa::emulator::kVote, mask, own,
                                 [](unsigned a, unsigned b) { return a | b; });
}
inline int __any_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) == mask ? 1 : 0;
}
template <class T>
T __reduce_add_sync(unsigned mask, T value) {
    return nsa::emulator::reduce(nsa::emulator::kReduce, mask, value, [](T a, T b) { return a + b; });
}
template <class T>
T __reduce_max_sync(unsigned mask, T value) {
    return nsa::emulator::reduce(nsa::emulator::kReduce, mask, value, [](T a, T b) { return a > b ? a : b; });
}
template <class T>
T __reduce_min_sync(unsigned mask, T value) {
    return nsa::emulator::reduce(nsa::emulator::kReduce, mask, value, [](T a, T b) { return a < b ? a : b; });
}

template <class T>
T atomicAdd(T* at, std::type_identity_t<T> x) {
    return nsa::emulator::atomically(at, [=](T before) { return static_cast<T>(before + x); });
}
inline float2 atomicAdd(float2* at, float2 x) {
    return {atomicAdd(&at->x, x.x), atomicAdd(&at->y, x.y)};
}
inline float4 atomicAdd(float4* at, float4 x) {
    return {atomicAdd(&at->x, x.x), atomicAdd(&at->y, x.y), atomicAdd(&at->z, x.z), atomicAdd(&at->w, x.w)};
}
template <class T>
T atomicMax(T* at, std::type_identity_t<T> x) {
    return nsa::emulator::atomically(at, [=](T before) { return before > x ? before : x; });
}
template <class T>
T atomicMin(T* at, std::type_identity_t<T> x) {
    return nsa::emulator::atomically(at, [=](T before) { return before < x ? before : x; });
}
template <class T>
T atomicOr(T* at, std::type_identity_t<T> x) {
    return nsa::emulator::atomically(at, [=](T before) { return before | x; });
}
template <class T>
T atomicExch(T* at, std::type_identity_t<T> x) {
    return nsa::emulator::atomically(at, [=](T) { return x; });
}
inline unsigned atomicInc(unsigned* at, unsigned last) {
    return nsa::emulator::atomically(at, [=](unsigned before) { return before >= last ? 0U : before + 1; });
}
template <class T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> x) {
    return nsa::emulator::atomically(at, [=](T before) { return before == expected ? x : before; });
}

// Loads and stores with a hint for the caches.
template <class T>
T __ldg(const T* at) {
    return *at;
}
template <class T>
T __ldcg(const T* at) {
    return *at;
}
template <class T>
T __ldcs(const T* at) {
    return *at;
}
template <class T>
void __stcg(T* at, std::type_identity_t<T> x) {
    *at = x;
}
template <class T>
void __stcs(T* at, std::type_identity_t<T> x) {
    *at = x;
}

inline std::uint32_t __float_as_uint(float x) {
    return std::bit_cast<std::uint32_t>(x);
}
inline int __float_as_int(float x) {
    return std::bit_cast<int>(x);
}
inline float __uint_as_float(std::uint32_t x) {
    return std::bit_cast<float>(x);
}
inline float __int_as_float(int x) {
    return std::bit_cast<float>(x);
}
inline int __popc(unsigned x) {
    return std::popcount(x);
}
inline int __popcll(unsigned long long x) {
    return std::popcount(x);
}
inline int __clz(int x) {
    return std::countl_zero(static_cast<unsigned>(x));
}
inline int __ffs(int x) {
    return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; ++i)
        reversed |= (x >> i & 1U) << (31 - i);
    return reversed;
}
inline float __fdividef(float a, float b) {
    return a / b;
}
inline float __expf(float x) {
    return std::exp(x);
}
inline float __frcp_rn(float x) {
    return 1.0F / x;
}
inline float rsqrtf(float x) {
    return 1.0F / std::sqrt(x);
}
inline void sincospi(double x, double* sine, double* cosine) {
    const double turned = std::remainder(x, 2.0);  // exact
    *sine = std::sin(turned * M_PI);
    *cosine = std::cos(turned * M_PI);
}
inline long long clock64() {
    return 0;
}

// As CUDA has them: of one type, or of two that mix by the usual conversions.
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
