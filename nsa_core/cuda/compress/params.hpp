// Learnable compression of keys and values as plain values: what the kernels read and write. Device pointers
// are borrowed for the length of the launch. No Torch here.
//
//   pre = W1 (block + position) + b1,   out = W2 silu(pre) + b2
//
// block: the l rows [i d, i d + l) of a group as one row of l c numbers. It is never stored: the products
// read its pieces where they lie. W1 (block + position) + b1 is W1 block + (b1 + W1 position): the position
// goes into the bias, in fp32, where adding it to the block would round the sum to 16 bits. So
// dW1 = dPreᵀ block + db1 positionᵀ, and dposition = W1ᵀ db1.
#pragma once

#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::core::cuda {

inline constexpr int kSides = 2;  // keys, values

/// Weights of one side, contiguous, in the type of the shape, 16-byte aligned. c: dk or dv.
struct Phi {
    const void* position = nullptr;  // [l, c]
    const void* w1 = nullptr;        // [hidden, l c]
    const void* b1 = nullptr;        // [hidden]
    const void* w2 = nullptr;        // [c, hidden]
    const void* b2 = nullptr;        // [c]
};
struct PhiGradients {
    void* position = nullptr;
    void* w1 = nullptr;
    void* b1 = nullptr;
    void* w2 = nullptr;
    void* b2 = nullptr;
};

/// Rows of all sequences' compressed tokens, one behind the other, each of every group: row
/// (token * G + group) of contiguous [rows, hidden]. With cu_compressed they begin with its first.
struct CompressForward {
    struct Side {
        Phi phi;
        ConstRows rows;         // tokens
        Rows out;               // compressed rows
        void* pre = nullptr;    // [rows, hidden], which the backward wants
        void* act = nullptr;    // [rows, hidden], scratch: silu(pre)
        float* bias = nullptr;  // [hidden], scratch: b1 + W1 position
    };
    PrefillShape shape;  // heads play no part; dk and dv are multiples of 8
    Sequences sequences;
    int hidden = 0;  // a multiple of 8
    Side side[kSides];
};

struct CompressBackward {
    struct Side {
        Phi phi;
        ConstRows rows;
        ConstRows d_out;            // compressed rows
        const void* pre = nullptr;  // of the forward
        void* d_pre = nullptr;      // [rows, hidden], scratch
        void* act = nullptr;        // [rows, hidden], scratch
        float* parts = nullptr;     // compress_parts() floats, scratch
        Rows d_rows;                // tokens; those that no compressed row covers get 0
        PhiGradients d_phi;
    };
    PrefillShape shape;
    Sequences sequences;
    int hidden = 0;
    Side side[kSides];
};

[[nodiscard]] constexpr int side_width(const PrefillShape& shape, int side) {
    return side == 0 ? shape.dk : shape.dv;
}

}  // namespace nsa::core::cuda
