// Rows as pieces of 16 bytes, 8 elements, in fp32: what the kernels without matrix products work on.
#pragma once

#include "nsa_core/cuda/primitives.cuh"

namespace nsa::core::cuda {

struct Piece {
    float x[8];
};

template <class T>
__device__ __forceinline__ Piece load_piece(const T* from) {
    const uint4 bits = *reinterpret_cast<const uint4*>(from);
    const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
    Piece piece;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float2 pair = Half<T>::unpack(words[i]);
        piece.x[2 * i] = pair.x;
        piece.x[2 * i + 1] = pair.y;
    }
    return piece;
}
template <>
__device__ __forceinline__ Piece load_piece<float>(const float* from) {
    const float4 low = *reinterpret_cast<const float4*>(from);
    const float4 high = *reinterpret_cast<const float4*>(from + 4);
    return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
}

template <class T>
__device__ __forceinline__ void store_piece(T* to, const Piece& piece) {
    *reinterpret_cast<uint4*>(to) =
        make_uint4(Half<T>::pack(piece.x[0], piece.x[1]), Half<T>::pack(piece.x[2], piece.x[3]),
                   Half<T>::pack(piece.x[4], piece.x[5]), Half<T>::pack(piece.x[6], piece.x[7]));
}
template <>
__device__ __forceinline__ void store_piece<float>(float* to, const Piece& piece) {
    *reinterpret_cast<float4*>(to) = make_float4(piece.x[0], piece.x[1], piece.x[2], piece.x[3]);
    *reinterpret_cast<float4*>(to + 4) = make_float4(piece.x[4], piece.x[5], piece.x[6], piece.x[7]);
}

__device__ __forceinline__ void add_scaled(Piece& sum, float scale, const Piece& piece) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
        sum.x[i] = fmaf(scale, piece.x[i], sum.x[i]);
}

/// One piece of a row of keys or of values: a thread's share in the kernels that treat both alike.
struct KeyOrValue {
    int row;  // of the sequence
    int group;
    int piece;  // in its row
    bool value;

    [[nodiscard]] __device__ int column(int dk) const { return (value ? dk : 0) + piece * 8; }
};

/// Thread `thread` of rows x groups x (pieces of a key, then of a value), pieces fastest.
__device__ __forceinline__ KeyOrValue key_or_value(std::int64_t thread, int groups, int dk, int dv) {
    const int pieces = (dk + dv) / 8;
    const int piece = static_cast<int>(thread % pieces);
    const std::int64_t pair = thread / pieces;
    const bool value = piece >= dk / 8;
    return {static_cast<int>(pair / groups), static_cast<int>(pair % groups), value ? piece - dk / 8 : piece,
            value};
}

}  // namespace nsa::core::cuda
