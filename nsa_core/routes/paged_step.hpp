// One decode step over a paged cache: what it takes and gives, and the route that any host has.
#pragma once

#include <ATen/core/Tensor.h>

#include "nsa_core/paged_cache.hpp"

namespace nsa::core {

/// The step's token of every sequence. The raw rows are those of the compressed branch before compression.
struct PagedStepInputs {
    at::Tensor q;      // [B,H,dk]
    at::Tensor gates;  // [B,H,3] in the order cmp, sel, win
    KeysValues raw;    // [B,G,dk] and [B,G,dv]
    KeysValues sel;
    KeysValues win;
};

/// Where a step writes. The caller allocates, so that a captured step keeps its addresses.
struct PagedStepOutputs {
    at::Tensor out;     // [B,H,dv]; 0 for idle slots
    at::Tensor blocks;  // [B,G,n] int32 ascending, then -1; idle slots: -1 only; undefined: not wanted
    at::Tensor reads;   // [B,G,3] int32, keys read by branch, added to; undefined: not counted
};

/// Route `reference`: appends the token at each sequence's position (pages must be reserved), emits the
/// compressed token that it completes, and attends with every product and softmax spelled out in fp32 (fp64
/// for fp64). Waits for the device once per sequence. Does not advance the positions.
void reference_paged_step(const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out);

}  // namespace nsa::core
