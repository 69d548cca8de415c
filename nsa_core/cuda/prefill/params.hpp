// Attention over whole sequences (prefill and training) as plain values: what the kernels read and write.
// Device pointers are borrowed for the length of the launch. No Torch here.
//
// Two branches attend an interval of keys that moves on with the query's token, and share their kernels:
//   window      query t sees tokens [max(0, t+1-w), t+1)
//   compressed  query t sees compressed rows [0, t+1 < l ? 0 : (t+1-l)/d + 1)
// The window is the case l = d = 1, the compressed branch the case of an endless w.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/half_type.hpp"

namespace nsa::core::cuda {

/// Shapes and options, the same for every sequence of the batch. Names follow config.hpp.
struct PrefillShape {
    HalfType dtype = HalfType::kBf16;
    int batch = 0;
    int heads = 0;   // H
    int groups = 0;  // G; head h belongs to group h / (H/G)
    int dk = 0;
    int dv = 0;
    int l = 32;
    int d = 16;
    int l_sel = 64;
    int n = 16;
    int n_initial = 1;
    int n_local = 2;
    int w = 512;
    int max_tokens = 0;           // S: no sequence is longer
    std::int64_t tokens = 0;      // of all sequences: batch * S, or the rows of packed tensors
    std::int64_t compressed = 0;  // compressed rows of all sequences

    [[nodiscard]] constexpr int heads_per_group() const { return heads / groups; }
    [[nodiscard]] constexpr int compressed_of(int length) const {
        return length < l ? 0 : (length - l) / d + 1;
    }
};

/// Where sequences lie. Without cu_tokens every sequence has S tokens, and tensors have a batch stride. With
/// it sequences are packed one behind the other, token cu_tokens[b] is the first of sequence b, and batch
/// strides are not looked at.
struct Sequences {
    int max_tokens = 0;
    int max_compressed = 0;
    const int* cu_tokens = nullptr;      // [batch + 1] on the device, or null
    const int* cu_compressed = nullptr;  // [batch + 1]: the compressed rows of the same sequences
};

/// A tensor of rows, one per (sequence, head, token): strides in elements, multiples of 8; the row itself is
/// contiguous and 16-byte aligned. For keys and values "head" is the group.
struct Rows {
    void* data = nullptr;
    std::int64_t batch = 0;
    std::int64_t head = 0;
    std::int64_t token = 0;
};
struct ConstRows {
    const void* data = nullptr;
    std::int64_t batch = 0;
    std::int64_t head = 0;
    std::int64_t token = 0;

    ConstRows() = default;
    constexpr ConstRows(const void* rows, std::int64_t batch_stride, std::int64_t head_stride,
                        std::int64_t token_stride)
        : data{rows}, batch{batch_stride}, head{head_stride}, token{token_stride} {}
    constexpr ConstRows(const Rows& rows)
        : data{rows.data}, batch{rows.batch}, head{rows.head}, token{rows.token} {}
};

// One number per (token, head), like a normaliser, is always contiguous: fp32 [tokens, H], the tokens of a
// batch of equal lengths being sequence b's from b * S on.

enum class DenseBranch : std::uint8_t { kWindow, kCompressed };

/// O = softmax(scale Q Kᵀ) V over the interval of `branch`, and the natural logarithm of the normaliser. A
/// query that sees no key has O = 0 and lse = -inf.
struct DenseForward {
    PrefillShape shape;
    Sequences sequences;
    DenseBranch branch = DenseBranch::kWindow;
    ConstRows q;           // dk
    ConstRows k;           // dk, per group; tokens or compressed rows
    ConstRows v;           // dv, per group
    Rows out;              // dv
    float* lse = nullptr;  // [tokens, H]
    float scale = 0.0F;    // of the scores, above 0; dk^-1/2 in the paper
};

/// Gradients of the same. With P the probabilities and g the gate of the row (1 without gates):
/// dS = P (g dO Vᵀ - delta), dQ = scale dS K, dK = scale dSᵀ Q, dV = (g P)ᵀ dO.
struct DenseBackward {
    PrefillShape shape;
    Sequences sequences;
    DenseBranch branch = DenseBranch::kWindow;
    ConstRows q;
    ConstRows k;
    ConstRows v;
    ConstRows d_out;               // gradient of what the gates summed, not multiplied by a gate
    const float* lse = nullptr;    // [tokens, H], of the forward
    const float* delta = nullptr;  // [tokens, H]: g <dO, O>
    const void* gates = nullptr;  // this branch's gate of row 0, dtype of q, the next gate_stride on; null: 1
    int gate_stride = 3;
    Rows d_q;
    Rows d_k;
    Rows d_v;
    float* partials = nullptr;  // dense_partials() floats; else holds nothing between launches
    bool add_to_d_q = false;    // d_q += in place of =, so that branches add up in one tensor
    float scale = 0.0F;
};

/// Compressed row i of a group is the mean of its rows [i d, i d + l): keys and values.
struct MeanPool {
    PrefillShape shape;
    Sequences sequences;
    ConstRows k;  // tokens
    ConstRows v;
    Rows k_out;  // compressed rows
    Rows v_out;
};

/// The gradient of the same: row t gathers 1/l of each compressed row that covers it; rows that none covers
/// get 0.
struct MeanPoolBackward {
    PrefillShape shape;
    Sequences sequences;
    ConstRows d_k_out;  // compressed rows, dtype of the shape
    ConstRows d_v_out;
    Rows d_k;  // tokens
    Rows d_v;
};

inline constexpr int kBranches = 3;  // in the order cmp, sel, win, as everywhere

/// O = sum of gate_c O_c over the branches. Rows of dv, one per (token, head).
struct Combine {
    PrefillShape shape;
    bool packed = false;  // one run of shape.tokens rows, without batch stride
    ConstRows branch[kBranches];
    const void* gates = nullptr;  // [tokens, H, 3], dtype of the shape
    Rows out;
};

/// d_gate_c = <dO, O_c> and delta_c = gate_c <dO, O_c>, which is all that the branches' backwards need
/// besides dO itself. A branch without data is left out: nothing of it is read or written.
struct CombineBackward {
    PrefillShape shape;
    bool packed = false;
    ConstRows branch[kBranches];
    const void* gates = nullptr;  // null: 1
    ConstRows d_out;
    void* d_gates = nullptr;       // [tokens, H, 3], dtype of the shape; null: not wanted
    float* delta[kBranches] = {};  // [tokens, H] each
};

}  // namespace nsa::core::cuda
