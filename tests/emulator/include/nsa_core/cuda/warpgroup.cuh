// The functions of nsa_core/cuda/warpgroup.cuh in C++, for emulated kernels.
#pragma once

#include <type_traits>

#include "emulator/warpgroup.hpp"
#include "nsa_core/cuda/ptx.cuh"

namespace nsa::core::cuda {

template <class... Registers>
void warpgroup_fence(Registers&... /*registers*/) {
    emulator::warpgroup_fence();
}
inline void warpgroup_commit() {
    emulator::warpgroup_commit();
}
template <int kPending, class... Registers>
void warpgroup_wait(Registers&... /*registers*/) {
    emulator::warpgroup_wait(kPending);
}
inline void fence_async_proxy() {
    emulator::current->fenced_at = ++emulator::current_block().clock;
}

template <int kRegisters>
void claim_registers() {
    emulator::set_registers(kRegisters);
}
template <int kRegisters>
void release_registers() {
    emulator::set_registers(kRegisters);
}

inline void group_sync(int id, int threads) {
    emulator::named_barrier(id, threads, /*waits=*/true);
}

template <class T, int kN, bool kTransposeB>
emulator::Product product_of(std::uint64_t b, bool scale_d) {
    static_assert(kN == 32 || kN == 48 || kN == 64 || kN == 96 || kN == 112 || kN == 128 || kN == 192,
                  "as in the other file");
    return {.columns = kN,
            .transposed_right = kTransposeB,
            .accumulate = scale_d,
            .half = std::is_same_v<T, __half>,
            .right = b};
}
template <class T, int kN, bool kTransposeB>
void warpgroup_mma(float (&c)[kN / 8][4], std::uint64_t a, std::uint64_t b, bool scale_d = true) {
    emulator::Product product = product_of<T, kN, kTransposeB>(b, scale_d);
    product.left = a;
    emulator::warpgroup_product(product, &c[0][0], nullptr);
}
template <class T, int kN, bool kTransposeB>
void warpgroup_mma(float (&c)[kN / 8][4], const std::uint32_t (&a)[4], std::uint64_t b, bool scale_d = true) {
    emulator::Product product = product_of<T, kN, kTransposeB>(b, scale_d);
    product.left_in_registers = true;
    emulator::warpgroup_product(product, &c[0][0], a);
}

}  // namespace nsa::core::cuda
