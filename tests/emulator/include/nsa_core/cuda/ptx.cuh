// The functions of nsa_core/cuda/ptx.cuh in C++, for emulated kernels: this folder is searched first.
#pragma once

#include "emulator/barrier.hpp"
#include "emulator/collectives.hpp"
#include "emulator/matrix.hpp"

namespace nsa::core::cuda {

inline constexpr bool kHasClusters = true;

template <class T>
T* dynamic_shared() {
    return reinterpret_cast<T*>(emulator::current_block().shared.begin());
}

template <class T>
void mma(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    emulator::multiply<T>(c, a, b0, b1);
}

inline std::uint32_t shared_address(const void* pointer) {
    return emulator::address_of(pointer);
}

inline void load_matrices(std::uint32_t (&r)[4], std::uint32_t address) {
    emulator::load_matrices(r, address, /*transposed=*/false);
}
inline void load_matrices_transposed(std::uint32_t (&r)[4], std::uint32_t address) {
    emulator::load_matrices(r, address, /*transposed=*/true);
}

inline std::uint64_t read_once_policy() {
    return 1;
}
inline void copy_async(std::uint32_t to, const void* from, std::uint64_t /*policy*/) {
    emulator::current->copies.start(to, from, 16, 16);
}
inline void copy_async(std::uint32_t to, const void* from) {
    emulator::current->copies.start(to, from, 16, 16);
}
inline void copy_async_or_zeros(std::uint32_t to, const void* from, bool copy, std::uint64_t /*policy*/) {
    emulator::current->copies.start(to, from, 16, copy ? 16 : 0);
}
inline void copy_async_or_zeros(std::uint32_t to, const void* from, bool copy) {
    emulator::current->copies.start(to, from, 16, copy ? 16 : 0);
}
inline void prefetch_line(const void* /*line*/) {}
inline void copy_word_async(std::uint32_t to, const void* from) {
    emulator::current->copies.start(to, from, 4, 4);
}
inline void commit_copies() {
    emulator::current->copies.commit();
}
template <int kPending>
void wait_copies() {
    emulator::current->copies.wait(kPending);
}

inline void barrier_init(std::uint64_t* barrier, int count) {
    emulator::barrier_init(barrier, count);
}
inline void barrier_arrive(std::uint64_t* barrier) {
    emulator::barrier_arrive(barrier);
}
inline void barrier_arrive_after_copies(std::uint64_t* barrier) {
    emulator::current->copies.commit();
    emulator::current->copies.wait(0);
    emulator::barrier_arrive(barrier);
}
inline void barrier_wait(std::uint64_t* barrier, unsigned parity) {
    emulator::barrier_wait(barrier, parity);
}

// ex2.approx.ftz gives 0 for results below the normal numbers.
inline float exp2_fast(float x) {
    return x < -126.0F ? 0.0F : std::exp2(x);
}
inline float log2_fast(float x) {
    return std::log2(x);
}

inline void allow_dependents() {}
inline void wait_for_previous_kernel() {
    emulator::wait_for_previous_kernel();
}

inline int cluster_size() {
    return static_cast<int>(emulator::current_gang().cluster);
}
inline int cluster_rank() {
    return emulator::current_block().rank;
}
inline void cluster_arrive() {
    emulator::cluster_arrive();
}
inline void cluster_arrive_relaxed() {
    emulator::cluster_arrive();
}
inline void cluster_wait() {
    emulator::cluster_wait();
}
inline void cluster_wait_relaxed() {
    emulator::cluster_wait();
}
inline void cluster_sync() {
    cluster_arrive();
    cluster_wait();
}
template <class T>
T* cluster_map(T* pointer, int rank) {
    return reinterpret_cast<T*>(emulator::in_cluster(pointer, rank));
}
inline std::uint32_t cluster_address(std::uint32_t address, int rank) {
    return emulator::in_cluster(address, rank);
}
inline void store_cluster(std::uint32_t to, float x) {
    std::memcpy(emulator::at_address(to, sizeof x), &x, sizeof x);
}
inline void store_cluster(std::uint32_t to, float4 x) {
    std::memcpy(emulator::at_address(to, sizeof x), &x, sizeof x);
}

inline unsigned load_acquire(const unsigned* pointer) {
    emulator::spin();
    return *pointer;
}

}  // namespace nsa::core::cuda
