// The matrix instructions of a warp, with the fragments of the PTX ISA.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace nsa::emulator {

/// mma.sync m16n8k16 with fp32 sums: c[i][j] takes its 16 products in ascending order of k, each rounded. The
/// hardware's order is another and is not documented. Lane layout: ptx.cuh.
template <class T>
void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);
extern template void multiply<__nv_bfloat16>(float (&)[4], const std::uint32_t (&)[4], std::uint32_t,
                                             std::uint32_t);
extern template void multiply<__half>(float (&)[4], const std::uint32_t (&)[4], std::uint32_t, std::uint32_t);

/// ldmatrix x4. Counts the passes over the banks that its four reads of 8 rows take.
void load_matrices(std::uint32_t (&r)[4], std::uint32_t address, bool transposed);

}  // namespace nsa::emulator
