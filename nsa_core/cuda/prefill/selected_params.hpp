// The selected branch of prefill and training as plain values: which blocks each token selects, attention
// over them, and its gradients. Device pointers are borrowed for the length of a launch. No Torch here.
#pragma once

#include <cstdint>

#include "nsa_core/cuda/prefill/params.hpp"

namespace nsa::core::cuda {

/// The blocks that each token selects, for all heads of a group. Contiguous.
template <class Int>
struct BlockLists {
    Int* blocks = nullptr;  // [tokens, G, n] ascending, -1 behind the last
    Int* count = nullptr;   // [tokens, G]
};

/// Importance of the selection blocks (Eqs. 9 and 10) and the n best of them: forced blocks first, ties to
/// the lower index, none that begins after the token.
struct ImportanceTopN {
    PrefillShape shape;
    Sequences sequences;
    ConstRows q;                 // dk
    ConstRows k;                 // dk, per group: compressed keys
    const float* lse = nullptr;  // [tokens, H] of compressed attention
    float scale = 0.0F;          // of the scores
    BlockLists<int> lists;       // out
    float* importance =
        nullptr;  // out, [tokens, G, blocks of max_tokens] of visible blocks; null: not wanted
};

/// O = softmax(scale Q Kᵀ) V over the tokens of the selected blocks up to the query's own, and the natural
/// logarithm of the normaliser. A token that selects nothing has O = 0 and lse = -inf.
struct SelectedForward {
    PrefillShape shape;
    Sequences sequences;
    ConstRows q;  // dk
    ConstRows k;  // dk, per group
    ConstRows v;  // dv, per group
    BlockLists<const int> lists;
    Rows out;              // dv
    float* lse = nullptr;  // [tokens, H]
    float scale = 0.0F;
};

/// For each block of each (sequence, group) the tokens that select it, ascending, cut into items of at most
/// `item_tokens`: the first block is selected by every token. `first` counts from the start of the (sequence,
/// group), and the number after the last is one behind the last block of max_tokens.
struct InverseLists {
    int* tokens = nullptr;      // [T G n], by tokens_before(): those of block j from first[j] to first[j + 1]
    int* first = nullptr;       // [B, G, blocks + 1]
    int* first_item = nullptr;  // [B, G, blocks + 1]: every block has an item, also one that nobody selects
    int* first_part = nullptr;  // [B, G, blocks + 1]: items whose gradients are parts, of blocks with several
    int item_tokens = 0;        // selected_item_tokens()
};

struct MakeInverseLists {
    PrefillShape shape;
    Sequences sequences;
    BlockLists<const int> lists;
    InverseLists out;
    int* counts = nullptr;  // inverse_counts() ints; hold nothing between launches
};

/// Gradients of SelectedForward. With P the probabilities and g the gate of the row (1 without gates):
/// dS = P (g dO Vᵀ - delta), dQ = scale dS K, dK = scale dSᵀ Q, dV = (g P)ᵀ dO.
struct SelectedBackward {
    PrefillShape shape;
    Sequences sequences;
    ConstRows q;
    ConstRows k;
    ConstRows v;
    ConstRows d_out;               // gradient of what the gates summed, not multiplied by a gate
    const float* lse = nullptr;    // [tokens, H], of the forward
    const float* delta = nullptr;  // [tokens, H]: g <dO, O>
    const void* gates = nullptr;  // this branch's gate of row 0, dtype of q, next row gate_stride on; or null
    int gate_stride = 3;
    BlockLists<const int> lists;  // for dQ
    InverseLists inverse;         // for dK and dV
    Rows d_q;
    Rows d_k;
    Rows d_v;
    bool add_to_d_q = false;  // d_q += in place of =, so that branches add up in one tensor
    float* parts = nullptr;   // selected_parts() floats; hold nothing between launches
    float scale = 0.0F;
};

}  // namespace nsa::core::cuda
